"""A specialist's rows and its finished members' predictions, as the run keeps them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fkd.data.faces import FaceData
from fkd.data.split import group_faces, split_rows
from fkd.errors import UserError
from fkd.experiment import Experiment
from fkd.store import Run, atomic_write_json, damaged_files, member_name


@dataclass(frozen=True)
class Split:
    """A specialist's training and validation rows of training.csv, the same for every member.

    validation_groups: one number per validation row; rows of one group show one person or photo.
    """

    training: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    validation_groups: npt.NDArray[np.int64]


def make_splits(run: Run, experiment: Experiment, data: FaceData) -> dict[str, Split]:
    """Every specialist's split: read from the run, or drawn and saved there.

    Raises UserError, naming the specialist, when too few rows have its points.
    """
    missing = [name for name in experiment.specialists if not run.split(name).exists()]
    if missing:
        groups = group_faces(data.training.images, data.groups)
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
                },
            )
    return {specialist: read_split(run, specialist) for specialist in experiment.specialists}


def read_split(run: Run, specialist: str) -> Split:
    """The saved split of a specialist."""
    rows = json.loads(run.split(specialist).read_text())
    return Split(**{name: np.array(ids, np.int64) for name, ids in rows.items()})


def finished_members(run: Run, experiment: Experiment, specialist: str) -> tuple[list[int], list[str]]:
    """Members whose training is done and whose validation predictions are there; why others are left out."""
    finished, left_out = [], []
    for index in range(experiment.specialists[specialist].members):
        folder = run.member(specialist, index)
        if not folder.done.exists():
            left_out.append(f"{member_name(specialist, index)}: left out, its training is not finished")
        elif damaged := damaged_files(folder):
            left_out.append(
                f"{member_name(specialist, index)}: left out, {', '.join(damaged)} damaged or missing"
            )
        else:
            finished.append(index)
    return finished, left_out


def validation_predictions(
    run: Run, experiment: Experiment, specialist: str, members: Sequence[int]
) -> npt.NDArray[np.float32]:
    """What members predict for their validation rows, shape (members, rows, points, 2) in pixels.

    As they are read in training, averaged with what they see in the mirror where the experiment's
    `prediction` says so. Raises UserError where a member has not looked there.
    """
    folders = [run.member(specialist, index) for index in members]
    predictions = np.array([np.load(folder.validation) for folder in folders], np.float32)
    if not experiment.prediction.mirrored:
        return predictions
    for folder in folders:
        if not folder.mirrored_validation.is_file():
            raise UserError(
                f"prediction.mirrored: expected {folder.mirrored_validation}, found none, as an older fkd "
                "trained this member; set it to false, or train anew with --fresh (make: FRESH=1)"
            )
    mirrored = np.array([np.load(folder.mirrored_validation) for folder in folders], np.float32)
    return np.mean([predictions, mirrored], axis=0)


def _labelled_rows(experiment: Experiment, specialist: str, data: FaceData) -> npt.NDArray[np.int64]:
    """Rows that have all points of the subset, any of them, or all of the schema: as the experiment asks."""
    schema, settings = experiment.schema_points, experiment.specialists[specialist]
    points = slice(None) if settings.rows == "complete" else schema.indices(settings.keypoints)
    labelled = ~np.isnan(data.training.keypoints[:, points]).any(axis=2)
    wanted = np.any if settings.rows == "any" else np.all
    return np.flatnonzero(wanted(labelled, axis=1))
