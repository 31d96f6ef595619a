"""Distilling: a network learns what a trained ensemble predicts, not the labels (Hinton et al. 2015)."""

from collections.abc import Callable

import numpy as np

from fkd.core.errors import UserError
from fkd.data.faces import FaceData
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.runs.splits import Split, make_splits, read_split, save_taught_labels


def find_teacher(run: Run, experiment: Experiment, data: FaceData) -> Run | None:
    """The run of the experiment's teacher, which stands beside `run`; None without a teacher.

    Raises UserError where it is not there, and where it was trained on other data or for other points.
    """
    if experiment.teacher is None:
        return None
    teacher = Run(run.path.with_name(f"{experiment.teacher}-{data.name}"))
    if not teacher.selection.is_file():
        raise UserError(
            f"teacher: expected a run with chosen members in {teacher.path}, received none; make it with "
            f"fkd train {experiment.teacher} and fkd select {experiment.teacher}, or set teacher=null"
        )
    if teacher.read_data_checksum() != data.checksum:
        raise UserError(f"teacher: expected a run on these data, received {teacher.path}, trained on others")
    if teacher.read_experiment().schema_points != experiment.schema_points:
        raise UserError(f"teacher: expected the same keypoint_schema, received another in {teacher.path}")
    return teacher


def taught_splits(
    run: Run, experiment: Experiment, data: FaceData, say: Callable[[str], None]
) -> dict[str, Split]:
    """Every specialist's split, whose training labels are the teacher's where the experiment has one.

    They are predicted once and kept with the split. Raises UserError as `make_splits` and `find_teacher` do,
    and where the teacher was trained on a face that is to validate its pupils.
    """
    splits = make_splits(run, experiment, data)
    taught = all(split.taught_px is not None for split in splits.values())
    teacher = None if taught else find_teacher(run, experiment, data)
    if teacher is None:
        return splits
    taught_by = teacher.read_experiment()
    for specialist, split in splits.items():
        _refuse_leak(teacher, taught_by, experiment, specialist, split)

    from fkd.ensemble.predict import chosen_members, predict_ensemble

    say(f"{teacher.path}: predicting the labels of {len(data.training.ids):,} training faces")
    labels_px = predict_ensemble(
        teacher, taught_by, chosen_members(teacher, taught_by, say), data.training.images
    )
    for specialist in splits:
        save_taught_labels(run, specialist, labels_px)
    # Read back, so that a training learns the same numbers from its first start as from its next.
    return {specialist: read_split(run, specialist) for specialist in splits}


def _refuse_leak(
    teacher: Run, taught_by: Experiment, experiment: Experiment, specialist: str, split: Split
) -> None:
    for other in taught_by.specialists:
        shared = set(experiment.point_indices(specialist)) & set(taught_by.point_indices(other))
        seen = np.isin(split.validation, read_split(teacher, other).training)
        if shared and seen.any():
            raise UserError(
                f"teacher: expected {specialist}'s validation faces to be new to {teacher.path}, received "
                f"{seen.sum():,} that trained its {other}; give both experiments the same seed, "
                "validation_fraction and rows, and train with --fresh (make: FRESH=1)"
            )
