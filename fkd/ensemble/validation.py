"""What a specialist's finished members predict for its validation rows, against the labels; read once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError, one_line
from fkd.core.files import open_regular
from fkd.core.keypoints import average_augmented, label_counts
from fkd.data.faces import Faces
from fkd.ensemble.label_offsets import offsets_px, with_offsets
from fkd.ensemble.radii import LEAST_LABELS_OF_A_SOURCE, CrossFitted, Curve, Held, cross_fit, fit_curves
from fkd.ensemble.selection import (
    SelectionReport,
    average_predictions,
    select_members,
    selection_report,
)
from fkd.ensemble.stacking import Stack
from fkd.experiment.experiment import Experiment
from fkd.experiment.records import DamagedRecordError, DoneRecord
from fkd.experiment.store import MemberFolder, Run
from fkd.runs.splits import Split, read_split
from fkd.runs.status import finished_members


@dataclass(frozen=True)
class Validation:
    """A specialist's validation rows: their labels, and what its members predict for them.

    points: the specialist's points, as indices in the schema. truth_px: their labels, shape (rows, points,
    2), NaN for none. label_counts: how many points of the schema each face has labelled, shape (rows,).
    members: their numbers, in the order of the predictions. left_out: why the others are not among them, a
    sentence each. augmented_px: what the members predict, averaged over test-time augmentation as the
    experiment's `prediction` asks, shape (members, rows, points, 2).
    """

    experiment: Experiment
    specialist: str
    split: Split
    points: npt.NDArray[np.intp]
    truth_px: npt.NDArray[np.float32]
    label_counts: npt.NDArray[np.int64]
    members: tuple[int, ...]
    left_out: tuple[str, ...]
    augmented_px: npt.NDArray[np.float32]

    @cached_property
    def predictions_px(self) -> npt.NDArray[np.float32]:
        """What each member predicts, with label offsets where asked for, shape (members, rows, points, 2).

        The label offsets are those that other validation groups give.
        """
        if not self.experiment.prediction.label_offsets or not self.members:
            return self.augmented_px
        return with_offsets(self.augmented_px, *self._known, linear=self._offsets_are_linear)

    def positions(self, members: Sequence[int]) -> Sequence[int]:
        """Where these members stand among the predictions; raises ValueError for one that is not there."""
        positions = [self.members.index(member) for member in members]
        return Stack(positions, members.weights) if isinstance(members, Stack) else positions

    def average_px(self, members: Sequence[int]) -> npt.NDArray[np.float64]:
        """The average of these members, shape (rows, points, 2); a repeated one weighs double."""
        return average_predictions(self.predictions_px, self.positions(members))

    def offsets_px(
        self, members: Sequence[int], predictions_px: npt.NDArray[np.floating], counts: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Label offsets of these members' average on other faces, shape (faces, points, 2).

        predictions_px: of these faces, all points of the schema. counts: how many of them are labelled.
        """
        positions = self.positions(members)
        chosen_px = self.augmented_px[list(positions)]
        average_px = positions.average(chosen_px) if isinstance(positions, Stack) else chosen_px.mean(axis=0)
        others_px, linear = predictions_px[:, self.points], self._offsets_are_linear
        return offsets_px(average_px, *self._known, others_px, counts, linear=linear)

    @property
    def _known(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """What offsets are learnt from: labels, how many each row has, groups."""
        return self.truth_px, self.label_counts, self.split.validation_groups

    @property
    def _offsets_are_linear(self) -> bool:
        return self.experiment.prediction.label_offsets == "linear"

    @cached_property
    def cross_fitted_radii(self) -> CrossFitted:
        """Radii of these rows, chosen and measured on others of the same source; with label offsets."""
        experiment, members = self.experiment, self.members
        return cross_fit(
            self.predictions_px,
            self.truth_px,
            self.split.validation_groups,
            self.label_counts,
            lambda some, labels, groups: select_members(
                some, labels, experiment.selection, self.specialist, members, groups
            ),
            experiment.prediction.coverage,
        )

    def sources(self) -> dict[str, npt.NDArray[np.bool_]]:
        """All rows and, where several sources have many, those of each, shape (rows,), by their names."""
        counts = self.label_counts
        many = [count for count in np.unique(counts) if (counts == count).sum() >= LEAST_LABELS_OF_A_SOURCE]
        of_each = {f"faces with {count} labels": counts == count for count in many} if len(many) > 1 else {}
        return {"all faces": np.full(len(counts), True)} | of_each

    def held_by_source(self) -> dict[str, Held]:
        """What the radii hold of faces that took no part in them, by source."""
        held = {name: self.cross_fitted_radii.held(rows) for name, rows in self.sources().items()}
        return {name: one for name, one in held.items() if one}

    def radius_curves(self, members: Sequence[int]) -> list[Curve | None]:
        """By spread, the radii of these members' points on faces of which no source is known.

        So predictions are without label offsets. One curve a point, None for one with few labels.
        """
        return fit_curves(
            self.augmented_px,
            self.positions(members),
            self.truth_px,
            self.split.validation_groups,
            self.experiment.prediction.coverage,
        )

    def select(self) -> SelectionReport:
        """Choose members as the experiment's `selection` asks; raises UserError as `select_members` does."""
        return selection_report(
            self.predictions_px,
            self.truth_px,
            self.split.validation_groups,
            self.experiment.selection,
            self.specialist,
            self.members,
        )


def read_validation(
    run: Run, experiment: Experiment, specialist: str, training: Faces, members: Sequence[int] | None = None
) -> Validation:
    """Read a specialist's split and what its members predict for its validation rows.

    training: all training faces. members: their numbers, None for all that are finished and whole. Maps are
    read as in training, whatever `prediction.peaks` says. Raises UserError where a member has no predictions
    for the test-time augmentation that the experiment asks for, and DamagedRecordError where files are not as
    they were written.
    """
    split, points = read_split(run, specialist, training), experiment.point_indices(specialist)
    keypoints = training.keypoints[split.validation]
    left_out: list[str] = []
    if members is None:
        members, left_out = finished_members(run, experiment, specialist)
    truth_px = keypoints[:, points]
    folders = [run.member(specialist, index) for index in members]
    augmented_px = np.empty((0, *truth_px.shape), np.float32)
    if folders:
        augmented_px = _read_predictions(experiment, folders, truth_px.shape)
    return Validation(
        experiment,
        specialist,
        split,
        points,
        truth_px,
        label_counts(keypoints),
        tuple(members),
        tuple(left_out),
        augmented_px,
    )


def _read_predictions(
    experiment: Experiment, folders: Sequence[MemberFolder], shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """What members have left, averaged over test-time augmentation, shape (members, rows, points, 2).

    shape: (rows, points, 2).
    """
    prediction = experiment.prediction
    augmented = np.array([_read(folder.validation, shape) for folder in folders])[:, None, None]
    if prediction.mirrored:
        mirrored = [_read_asked(folder.mirrored_validation, shape, "mirrored") for folder in folders]
        augmented = np.concatenate([augmented, np.array(mirrored)[:, None, None]], axis=2)
    if prediction.views > 1:
        kept = [_read_asked(folder.views_validation, (None, None, *shape), "views") for folder in folders]
        if (fewest := min(map(len, kept))) < prediction.views - 1:
            raise UserError(
                f"prediction.views: expected at most the {fewest + 1} that members have predicted, "
                f"received {prediction.views}; lower it, or train anew with --fresh (make: FRESH=1)"
            )
        views = np.array([one[: prediction.views - 1, : augmented.shape[2]] for one in kept])
        augmented = np.concatenate([augmented, views], axis=1)
    return average_augmented(augmented)


def _read_asked(path: Path, shape: tuple[int | None, ...], setting: str) -> npt.NDArray[np.float32]:
    if not path.exists():
        raise UserError(
            f"prediction.{setting}: expected {path}, found none, as this member was trained without; put the "
            "setting back, or train anew with --fresh (make: FRESH=1)"
        )
    return _read(path, shape)


def _read(path: Path, shape: tuple[int | None, ...]) -> npt.NDArray[np.float32]:
    """Predictions in pixels of this shape, None for any length; never unpickles.

    Raises DamagedRecordError where the file holds others, before they take any memory.
    """
    try:
        with open_regular(path) as stream:
            if np.lib.format.read_magic(stream) != (1, 0):
                raise ValueError("an array of another form")
            found, _, dtype = np.lib.format.read_array_header_1_0(stream)
            left = path.stat().st_size - stream.tell()
            fits = len(found) == len(shape) and all(b in (None, a) for a, b in zip(found, shape, strict=True))
            if dtype.kind != "f" or not fits or left != dtype.itemsize * math.prod(found):
                raise ValueError(f"{left} bytes of {dtype} of shape {found}")
            stream.seek(0)
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False), np.float32)
    except (ValueError, FileNotFoundError) as error:
        rows, points = shape[-3:-1]
        raise DamagedRecordError(
            f"{path}: expected predictions for {rows} faces and {points} points, as split.json says, "
            f"received {one_line(error):.120}; remove the member's done.json, and {DoneRecord.way_out}"
        ) from error
