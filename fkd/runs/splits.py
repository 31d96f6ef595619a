"""A specialist's training and validation rows, as the run keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.files import is_there
from fkd.core.keypoints import is_labelled, label_counts
from fkd.data.csv_cells import integer, nearest, read_columns
from fkd.data.faces import FaceData, Faces
from fkd.data.label_decisions import Verdict, holds_decisions, read_decisions
from fkd.data.split import group_faces, split_rows
from fkd.experiment.experiment import Experiment
from fkd.experiment.records import ReviewedLabel, SplitRecord, damaged, read_record, write_record
from fkd.experiment.store import Run

_DROPPED = (np.nan, np.nan)


@dataclass(frozen=True)
class Split:
    """A specialist's training and validation rows of training.csv, the same for every member.

    validation_groups: one number per validation row; rows of one group show one person or photo.
    dropped_labels: (row, point of the schema) of labels that no member learns from, shape (labels, 2).
    reviewed_labels: those that a person dropped or moved, shape (labels, 4): row, point, and the place in
    pixels that it was moved to, NaN where it was dropped.
    distilled_px: what trains in place of the labels, shape (training rows, points of the schema, 2) in
    pixels; None where the labels do. distilled_test_px: the same of the test images, None where they do not
    train.
    """

    training: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    validation_groups: npt.NDArray[np.int64]
    dropped_labels: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    reviewed_labels: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 4)))
    distilled_px: npt.NDArray[np.float32] | None = None
    distilled_test_px: npt.NDArray[np.float32] | None = None

    @property
    def images_per_epoch(self) -> int:
        """How many images train."""
        return len(self.training) + (0 if self.distilled_test_px is None else len(self.distilled_test_px))

    def kept_labels(self, labels_px: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """What of the labels is learned, NaN in place of dropped ones; both of shape (faces, points, 2)."""
        kept_px = labels_px.copy()
        rows, points = self.reviewed_labels[:, :2].astype(np.int64).T
        kept_px[rows, points] = self.reviewed_labels[:, 2:]
        kept_px[tuple(self.dropped_labels.T)] = np.nan
        return kept_px

    def learned_decisions(self, points: npt.NDArray[np.intp]) -> int:
        """How many of the reviewed labels of these points are on faces that train."""
        rows, reviewed = self.reviewed_labels[:, :2].astype(np.int64).T
        return int((np.isin(rows, self.training) & np.isin(reviewed, points)).sum())

    def training_faces(self, faces: Faces, test: Faces) -> Faces:
        """The training rows of all faces, without dropped labels or with distilled ones; test images last."""
        keypoints = self.kept_labels(faces.keypoints)
        if self.distilled_px is not None:
            keypoints[self.training] = self.distilled_px
        training = Faces(faces.images, keypoints, faces.ids).take(self.training)
        if self.distilled_test_px is None:
            return training
        return Faces(
            np.concatenate([training.images, test.images]),
            np.concatenate([training.keypoints, self.distilled_test_px]),
            np.concatenate([training.ids, test.ids]),
        )


def make_splits(run: Run, experiment: Experiment, data: FaceData) -> dict[str, Split]:
    """Every specialist's split: read from the run, or drawn and saved there.

    Raises UserError, naming the specialist, when too few rows have its points, and where the experiment's
    `dropped_labels` or `reviewed_labels` cannot be read, or the latter is not what the run began with, and as
    `has_split` and `read_split` do.
    """
    begun = [name for name in experiment.specialists if has_split(run, name)]
    reviewed = _reviewed_labels(run, experiment, data, begun)
    missing = [name for name in experiment.beginning if name not in begun]
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
            _write_split(run, specialist, Split(training, validation, groups[validation], dropped, reviewed))
    for specialist in experiment.continuing:
        if specialist not in begun:
            _write_split(run, specialist, _source_split(run, experiment, specialist, data.training))
    splits = {name: read_split(run, name, data.training) for name in experiment.specialists}
    for split in splits.values():
        if not np.array_equal(split.reviewed_labels, reviewed, equal_nan=True):
            raise UserError(
                f"reviewed_labels: expected the decisions with which {run.path} began, received others in "
                f"{experiment.reviewed_labels}; put the former ones back, or train anew with --fresh "
                "(make: FRESH=1)"
            )
    return splits


def check_labels(experiment: Experiment, data: FaceData) -> None:
    """Raise UserError where `dropped_labels` or `reviewed_labels` cannot be read, or leave a point bare."""
    rows = len(data.training.ids)
    nobody = np.empty(0, np.int64)
    dropped, reviewed = _read_dropped_labels(experiment, rows), _read_reviewed_labels(experiment, rows)
    kept_px = Split(nobody, nobody, nobody, dropped, reviewed).kept_labels(data.training.keypoints)
    labelled, kept = (is_labelled(px).any(axis=0) for px in (data.training.keypoints, kept_px))
    if (labelled & ~kept).any():
        name = experiment.schema_points.names[int(np.argmax(labelled & ~kept))]
        raise UserError(
            f"dropped_labels, reviewed_labels: expected to keep labels of {name}, received none; keep some"
        )


def _source_split(run: Run, experiment: Experiment, specialist: str, faces: Faces) -> Split:
    """The faces of a specialist's source, on the sides on which they are for the one that it continues."""
    continues = experiment.specialists[specialist].continues
    assert continues
    begun = read_split(run, continues.specialist, faces)
    theirs = continues.takes(label_counts(faces.keypoints))
    if not (theirs[begun.training].any() and theirs[begun.validation].any()):
        least, most = continues.labels
        raise UserError(
            f"{specialist}: expected faces with {least} to {most} labels that train and that validate "
            f"{continues.specialist}, received too few; correct specialists.{specialist}.continues.labels"
        )
    validate = theirs[begun.validation]
    return Split(
        begun.training[theirs[begun.training]],
        begun.validation[validate],
        begun.validation_groups[validate],
        begun.dropped_labels,
        begun.reviewed_labels,
    )


def _write_split(run: Run, specialist: str, split: Split) -> None:
    run.split(specialist).parent.mkdir(exist_ok=True)
    record = SplitRecord(
        specialist=specialist,
        training=split.training.tolist(),
        validation=split.validation.tolist(),
        validation_groups=split.validation_groups.tolist(),
        dropped_labels=split.dropped_labels.tolist(),
        reviewed_labels=[
            ReviewedLabel(row=int(row), point=int(point), moved_px=None if np.isnan(x) else [x, y])
            for row, point, x, y in split.reviewed_labels.tolist()
        ],
    )
    write_record(run.split(specialist), record)


def has_split(run: Run, specialist: str) -> bool:
    """Whether a specialist's rows are drawn; raises DamagedRecordError where they are lost.

    They are, where its members are there.
    """
    path = run.split(specialist)
    if not is_there(path) and (members := sorted(path.parent.glob("*/state*.npz"))):
        raise damaged(str(path), SplitRecord, f"none, though {members[0].parent} was trained on them")
    return is_there(path)


def read_split(run: Run, specialist: str, training: Faces | None = None) -> Split:
    """The saved split of a specialist.

    training: all training faces, where they are at hand. Raises DamagedRecordError where the file is missing
    or damaged, another specialist's, or names rows or points that are not among the faces.
    """
    record = _read_record(run, specialist)
    distilled_px, distilled_test_px = (
        None if taught is None else np.array(taught, np.float32)
        for taught in (record.taught_px, record.taught_test_px)
    )
    if training is not None:
        _refuse_unknown(run, specialist, record, distilled_px, training)
        _refuse_unknown(run, specialist, record, distilled_test_px, training)
    return Split(
        np.array(record.training, np.int64),
        np.array(record.validation, np.int64),
        np.array(record.validation_groups, np.int64),
        np.array(record.dropped_labels, np.int64).reshape(-1, 2),
        np.array(
            [[one.row, one.point, *(one.moved_px or _DROPPED)] for one in record.reviewed_labels]
        ).reshape(-1, 4),
        distilled_px,
        distilled_test_px,
    )


def save_distilled_labels(
    run: Run,
    specialist: str,
    labels_px: npt.NDArray[np.floating],
    test_px: npt.NDArray[np.floating] | None = None,
) -> None:
    """Keep with a specialist's split what is to train it in place of the labels.

    labels_px: of all training faces, shape (faces, points of the schema, 2); kept to a hundredth of a pixel.
    test_px: of all test images, where they are to train, too.
    """
    record = _read_record(run, specialist)
    taught = {"taught_px": labels_px[record.training], "taught_test_px": test_px}
    kept = {
        name: None if px is None else px.astype(np.float64).round(2).tolist() for name, px in taught.items()
    }
    write_record(run.split(specialist), record.model_copy(update=kept))


def _read_record(run: Run, specialist: str) -> SplitRecord:
    record = read_record(run.split(specialist), SplitRecord)
    if record.specialist not in (None, specialist):
        raise damaged(str(run.split(specialist)), SplitRecord, f"those of {record.specialist}")
    return record


def _refuse_unknown(
    run: Run,
    specialist: str,
    record: SplitRecord,
    distilled_px: npt.NDArray[np.float32] | None,
    training: Faces,
) -> None:
    """Raise DamagedRecordError for rows and points that are not among the training faces."""
    faces, points, _ = training.keypoints.shape
    decided = [*record.dropped_labels, *([one.row, one.point] for one in record.reviewed_labels)]
    row = max(*record.training, *record.validation, *(row for row, _ in decided))
    problem = None
    if row >= faces:
        problem = f"row {row} for data that have the rows 0 to {faces - 1}"
    elif any(point >= points for _, point in decided):
        problem = f"dropped or moved labels of more points than the {points} of the data"
    elif distilled_px is not None and distilled_px.shape[1:] != (points, 2):
        problem = f"distilled labels of other points than the {points} of the data"
    if problem:
        raise damaged(str(run.split(specialist)), SplitRecord, problem)


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
    points = experiment.schema_points.names
    try:
        path = Path(experiment.dropped_labels).expanduser()
        cells = read_columns(path, ("row", "keypoint"), may_be_empty=True)
        if holds_decisions(path):
            raise UserError(
                f"{path}: expected labels to drop, received decisions of fkd review; "
                "name the file as reviewed_labels, which keeps and moves, too"
            )
        for row in cells["row"]:
            if not 0 <= integer(row) < rows:
                raise row.error(f"a training row from 0 to {rows - 1}")
        for name in cells["keypoint"]:
            if name.text not in points:
                raise name.error(f"a keypoint of the schema such as {nearest(name.text, points)}")
    except (UserError, RuntimeError) as error:  # the latter for `~` of an unknown user
        raise UserError(f"dropped_labels: {error}") from error
    pairs = zip(cells["row"], cells["keypoint"], strict=True)
    indices = [(integer(row), points.index(name.text)) for row, name in pairs]
    return np.array(indices, np.int64).reshape(-1, 2)


def _reviewed_labels(
    run: Run, experiment: Experiment, data: FaceData, begun: Sequence[str]
) -> npt.NDArray[np.float64]:
    """What the CSV of decisions says now; where it is gone, as on another machine, what the run has of it."""
    path = experiment.reviewed_labels
    if path and begun and not is_there(Path(path).expanduser()):
        return read_split(run, begun[0]).reviewed_labels
    return _read_reviewed_labels(experiment, len(data.training.ids))


def _read_reviewed_labels(experiment: Experiment, rows: int) -> npt.NDArray[np.float64]:
    """What the experiment's CSV of decisions drops and moves, as `Split.reviewed_labels` says."""
    if experiment.reviewed_labels is None:
        return np.empty((0, 4))
    try:
        path = Path(experiment.reviewed_labels).expanduser()
        decisions = read_decisions(path, experiment.schema_points.names, rows)
    except (UserError, RuntimeError) as error:  # the latter for `~` of an unknown user
        raise UserError(f"reviewed_labels: {error}") from error
    changed = [
        (*label, *(decision.moved_px or _DROPPED))
        for label, decision in sorted(decisions.items())
        if decision.verdict != Verdict.KEEP
    ]
    return np.array(changed, np.float64).reshape(-1, 4)
