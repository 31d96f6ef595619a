"""A specialist's training and validation rows, as the run keeps them."""

import json
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError, one_line
from fkd.core.files import atomic_write_json
from fkd.core.keypoints import is_labelled
from fkd.data.faces import FaceData, Faces
from fkd.data.split import group_faces, split_rows
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run

_DISTILLED = "taught_px"  # the key of `Split.distilled_px` in split.json, as older runs have it


@dataclass(frozen=True)
class Split:
    """A specialist's training and validation rows of training.csv, the same for every member.

    validation_groups: one number per validation row; rows of one group show one person or photo.
    dropped_labels: (row, point of the schema) of labels that train nobody, shape (labels, 2).
    distilled_px: what trains in place of the labels, shape (training rows, points of the schema, 2) in
    pixels; None where the labels do.
    """

    training: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    validation_groups: npt.NDArray[np.int64]
    dropped_labels: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    distilled_px: npt.NDArray[np.float32] | None = None

    def training_faces(self, faces: Faces) -> Faces:
        """The training rows of all faces, without dropped labels, or with distilled ones."""
        keypoints = faces.keypoints.copy()
        keypoints[tuple(self.dropped_labels.T)] = np.nan
        if self.distilled_px is not None:
            keypoints[self.training] = self.distilled_px
        return Faces(faces.images, keypoints, faces.ids).take(self.training)


def make_splits(run: Run, experiment: Experiment, data: FaceData) -> dict[str, Split]:
    """Every specialist's split: read from the run, or drawn and saved there.

    Raises UserError, naming the specialist, when too few rows have its points, and where the experiment's
    `dropped_labels` cannot be read.
    """
    missing = [name for name in experiment.specialists if not run.split(name).exists()]
    if missing:
        groups = group_faces(data.training.images, data.groups)
        dropped = _read_dropped_labels(experiment, len(data.training.ids))
        for specialist in missing:
            rows = _labelled_rows(experiment, specialist, data)
            fold = experiment.specialists[specialist].validation_fold
            try:
                training, validation = split_rows(
                    groups[rows], rows, experiment.validation_fraction, (experiment.seed,), fold
                )
            except UserError as error:
                raise UserError(f"{specialist}: {error}") from error
            run.split(specialist).parent.mkdir(exist_ok=True)
            atomic_write_json(
                run.split(specialist),
                {
                    "training": training.tolist(),
                    "validation": validation.tolist(),
                    "validation_groups": groups[validation].tolist(),
                    "dropped_labels": dropped.tolist(),
                },
            )
    return {specialist: read_split(run, specialist) for specialist in experiment.specialists}


def read_split(run: Run, specialist: str) -> Split:
    """The saved split of a specialist."""
    record = json.loads(run.split(specialist).read_text())
    distilled_px = record.pop(_DISTILLED, None)
    split = {name: np.array(ids, np.int64) for name, ids in record.items()}
    if "dropped_labels" in split:
        split["dropped_labels"] = split["dropped_labels"].reshape(-1, 2)
    return Split(**split, distilled_px=None if distilled_px is None else np.array(distilled_px, np.float32))


def save_distilled_labels(run: Run, specialist: str, labels_px: npt.NDArray[np.floating]) -> None:
    """Keep with a specialist's split what is to train it in place of the labels.

    labels_px: of all training faces, shape (faces, points of the schema, 2); kept to a hundredth of a pixel.
    """
    record = json.loads(run.split(specialist).read_text())
    distilled_px = labels_px[record["training"]].astype(np.float64).round(2)
    atomic_write_json(run.split(specialist), record | {_DISTILLED: distilled_px.tolist()})


def _labelled_rows(experiment: Experiment, specialist: str, data: FaceData) -> npt.NDArray[np.int64]:
    """Rows that have all points of the subset, any of them, or all of the schema: as the experiment asks."""
    schema, settings = experiment.schema_points, experiment.specialists[specialist]
    points = slice(None) if settings.rows == "complete" else schema.indices(settings.keypoints)
    labelled = is_labelled(data.training.keypoints[:, points])
    wanted = np.any if settings.rows == "any" else np.all
    return np.flatnonzero(wanted(labelled, axis=1))


def _read_dropped_labels(experiment: Experiment, rows: int) -> npt.NDArray[np.int64]:
    """What the experiment's CSV names by `row` and `keypoint`, as (row, point of the schema)."""
    if experiment.dropped_labels is None:
        return np.empty((0, 2), np.int64)
    import pandas as pd  # slow to load

    path, points = experiment.dropped_labels, experiment.schema_points.names
    try:
        table = pd.read_csv(path)
        names, places = table["keypoint"], pd.to_numeric(table["row"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"dropped_labels: {path}: expected a CSV with the columns row and keypoint, such as a run's "
            f"far_labels.csv, received another or none ({one_line(error)}); mend the path or "
            "the file"
        ) from error
    known = names.isin(points) & places.isin(range(rows))
    if not known.all():
        line = int(np.argmin(known))
        raise UserError(
            f"dropped_labels: {path}: line {line + 2}: expected a row from 0 to {rows - 1} and a keypoint of "
            f"the schema, received {places[line]} and {names[line]!r}; correct that line"
        )
    return np.column_stack([places, [points.index(name) for name in names]]).astype(np.int64)
