"""Distillation: a network learns what a trained ensemble predicts, not the labels (Hinton et al. 2015).

Or it learns both: labels where there are some, and elsewhere predictions (Xie et al. 2020, "Noisy Student").
"""

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.say import Say
from fkd.data.faces import FaceData
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.runs.splits import Split, make_splits, read_split, save_distilled_labels


def find_distilled_run(run: Run, experiment: Experiment, data: FaceData) -> Run | None:
    """The run that the experiment's `teacher` names, which lies beside `run`; None where it names none.

    Raises UserError where it is not there, and where it was trained on other data or for other points.
    """
    if experiment.teacher is None:
        return None
    distilled = Run(run.path.with_name(f"{experiment.teacher}-{data.name}"))
    if not distilled.selection.is_file():
        raise UserError(
            f"teacher: expected a run with chosen members in {distilled.path}, received none; make it with "
            f"fkd train {experiment.teacher} and fkd select {experiment.teacher}, or set teacher=null"
        )
    if distilled.read_data_checksum() != data.checksum:
        raise UserError(
            f"teacher: expected a run on these data, received {distilled.path}, trained on others"
        )
    if distilled.read_experiment().schema_points != experiment.schema_points:
        raise UserError(f"teacher: expected the same keypoint_schema, received another in {distilled.path}")
    return distilled


def distilled_splits(run: Run, experiment: Experiment, data: FaceData, say: Say) -> dict[str, Split]:
    """Every specialist's split; where the experiment names a `teacher`, what that ensemble predicts trains.

    `teacher_weight` tells how much of the labels stays. Predictions are made once and kept with the split.
    Raises UserError as `make_splits` and `find_distilled_run` do, and where the ensemble was trained on a
    face that is to validate the new members.
    """
    splits = make_splits(run, experiment, data)
    if experiment.reviewed_labels:
        counts = [one.learned_decisions(experiment.point_indices(name)) for name, one in splits.items()]
        decided = len(next(iter(splits.values())).reviewed_labels)
        say(
            f"{experiment.reviewed_labels}: {decided:,} labels are dropped or moved, {sum(counts):,} of "
            "them on faces that train; those of faces that validate count as they were"
        )
    predicted = all(split.distilled_px is not None for split in splits.values())
    distilled = None if predicted else find_distilled_run(run, experiment, data)
    if distilled is None:
        return splits
    former = distilled.read_experiment()
    for specialist, split in splits.items():
        _refuse_leak(distilled, former, experiment, specialist, split)

    from fkd.ensemble.ensemble import chosen_members
    from fkd.ensemble.predict import predict_ensemble

    tests = len(data.test.ids) if experiment.distil_test_images else 0
    and_tests = f" and {tests:,} test images" if tests else ""
    say(f"{distilled.path}: predicting the labels of {len(data.training.ids):,} training faces{and_tests}")
    chosen = chosen_members(distilled, former, say)
    predicted_px = predict_ensemble(distilled, former, chosen, data.training.images)
    test_px = predict_ensemble(distilled, former, chosen, data.test.images) if tests else None
    for specialist, split in splits.items():
        labels_px = split.kept_labels(data.training.keypoints)
        save_distilled_labels(run, specialist, _blended(predicted_px, labels_px, experiment), test_px)
    # Read back, so that a training learns the same numbers from its first start as from its next.
    return {specialist: read_split(run, specialist, data.training) for specialist in splits}


def _blended(
    predicted_px: npt.NDArray[np.floating], labels_px: npt.NDArray[np.floating], experiment: Experiment
) -> npt.NDArray[np.floating]:
    """Both by the teacher's weight; where one of them is NaN, the other."""
    weight = experiment.teacher_weight
    both_px = weight * predicted_px + (1 - weight) * labels_px
    one_px = np.where(np.isnan(labels_px), predicted_px, labels_px)
    return np.where(np.isnan(both_px), one_px, both_px)


def _refuse_leak(
    distilled: Run, former: Experiment, experiment: Experiment, specialist: str, split: Split
) -> None:
    for other in former.specialists:
        shared = set(experiment.point_indices(specialist)) & set(former.point_indices(other))
        seen = np.isin(split.validation, read_split(distilled, other).training)
        if shared and seen.any():
            raise UserError(
                f"teacher: expected {specialist}'s validation faces to be new to {distilled.path}, received "
                f"{seen.sum():,} that trained its {other}; give both experiments the same seed, "
                "validation_fraction and rows, and train with --fresh (make: FRESH=1)"
            )
