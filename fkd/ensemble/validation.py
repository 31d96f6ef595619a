"""What a specialist's finished members predict for their validation rows, against the labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.data.faces import FaceData, Faces
from fkd.ensemble.label_offsets import asked_points, labelled_points, offsets_px, with_offsets
from fkd.ensemble.selection import join_specialists
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.runs.splits import read_split


def validation_truth(
    run: Run, experiment: Experiment, specialist: str, training: Faces
) -> npt.NDArray[np.float32]:
    """A specialist's labels of its validation rows, shape (rows, points, 2) in pixels, NaN for none.

    training: all training faces.
    """
    rows = read_split(run, specialist).validation
    return training.keypoints[rows][:, experiment.point_indices(specialist)]


def validation_predictions(
    run: Run, experiment: Experiment, specialist: str, members: Sequence[int], training: Faces
) -> npt.NDArray[np.float32]:
    """What members predict for their validation rows, shape (members, rows, points, 2) in pixels.

    As the experiment's `prediction` says, but that maps are read as in training; label offsets are those that
    each half of the validation groups gives to the other. training: all training faces. Raises UserError
    where a member has not looked into the mirror or at the views.
    """
    predictions = _predictions_read(run, experiment, specialist, members)
    if not experiment.prediction.label_offsets or not members:
        return predictions
    split = read_split(run, specialist)
    truth = validation_truth(run, experiment, specialist, training)
    labelled = labelled_points(training.keypoints[split.validation])
    return with_offsets(predictions, truth, labelled, split.validation_groups)


def submission_offsets_px(
    run: Run, experiment: Experiment, chosen: Mapping[str, Sequence[int]], data: FaceData
) -> npt.NDArray[np.float64]:
    """The label offsets of the chosen members' average on the test images, shape (images, points, 2).

    chosen: member numbers by specialist. Points in schema order, NaN where no specialist predicts.
    """
    asked = asked_points(data.lookup, data.test.ids, experiment.schema_points)
    offsets = {}
    for specialist, members in chosen.items():
        truth = validation_truth(run, experiment, specialist, data.training)
        labelled = labelled_points(data.training.keypoints[read_split(run, specialist).validation])
        average = _predictions_read(run, experiment, specialist, members).mean(axis=0)
        offsets[specialist] = offsets_px(average, truth, labelled, asked)
    return join_specialists(experiment, offsets)


def _predictions_read(
    run: Run, experiment: Experiment, specialist: str, members: Sequence[int]
) -> npt.NDArray[np.float32]:
    """The predictions that members have left, averaged over mirror and views as the experiment asks."""
    folders, prediction = [run.member(specialist, index) for index in members], experiment.prediction
    looks = np.array([np.load(folder.validation) for folder in folders], np.float32)[:, None, None]
    if prediction.mirrored:
        mirrored = [_look(folder.mirrored_validation, "mirrored") for folder in folders]
        looks = np.concatenate([looks, np.array(mirrored)[:, None, None]], axis=2)
    if prediction.views > 1:
        views = np.array([_look(folder.views_validation, "views") for folder in folders])
        if views.shape[1] < prediction.views - 1:
            raise UserError(
                f"prediction.views: expected at most the {views.shape[1] + 1} that members have looked at, "
                f"received {prediction.views}; lower it, or train anew with --fresh (make: FRESH=1)"
            )
        looks = np.concatenate([looks, views[:, : prediction.views - 1, : looks.shape[2]]], axis=1)
    return looks.mean(axis=(1, 2))


def _look(path: Path, setting: str) -> npt.NDArray[np.float32]:
    if not path.is_file():
        raise UserError(
            f"prediction.{setting}: expected {path}, found none, as this member was trained without; put the "
            "setting back, or train anew with --fresh (make: FRESH=1)"
        )
    return np.asarray(np.load(path), np.float32)
