"""What a run has left behind, read once for its report; an unfinished run gives what is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from fkd.core.errors import UserError
from fkd.core.files import is_there
from fkd.core.keypoints import Schema
from fkd.core.say import first_few
from fkd.data.faces import FaceData
from fkd.ensemble.selection import SelectionReport
from fkd.ensemble.selection_file import read_selection
from fkd.ensemble.submission import read_submission
from fkd.ensemble.validation import Validation, read_validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.records import SubmissionRecord, read_record
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import HistoryColumn, MemberFolder, Run, has_checksum
from fkd.runs.splits import has_split
from fkd.runs.status import MemberState, recorded_epochs, run_status


@dataclass(frozen=True)
class MemberRecord:
    """How a member's training went.

    history: one line an epoch, the columns of `HistoryColumn`; without lines before the first epoch is saved.
    stopped_early: done before the last epoch that the experiment allows. monitor: the column by which an
    epoch is the best.
    """

    name: str
    index: int
    state: MemberState
    history: pd.DataFrame
    stopped_early: bool
    monitor: str

    @property
    def best(self) -> pd.Series:
        """The history's line of the epoch whose weights are kept."""
        return self.history.loc[self.history[self.monitor].idxmin()]


@dataclass(frozen=True)
class SpecialistRecord:
    """A specialist's members, its validation and the choice among those members that are usable.

    usable: numbers of the members that are finished, whole and predict finite numbers. selection: None where
    none can be made, which is so while no member is usable.
    """

    members: tuple[MemberRecord, ...]
    validation: Validation
    usable: tuple[int, ...]
    selection: SelectionReport | None

    @property
    def name(self) -> str:
        """The specialist's name."""
        return self.validation.specialist

    @property
    def points(self) -> npt.NDArray[np.intp]:
        """Its points, as indices in the schema."""
        return self.validation.points

    @property
    def truth_px(self) -> npt.NDArray[np.float32]:
        """The labels of its validation rows, shape (rows, points, 2)."""
        return self.validation.truth_px

    @cached_property
    def predictions_px(self) -> npt.NDArray[np.float32]:
        """What the usable members predict, shape (usable, rows, points, 2)."""
        return self.validation.predictions_px[self.validation.positions(self.usable)]

    @property
    def chosen(self) -> list[int]:
        """Positions of the chosen members among the usable ones, in the order of choice."""
        return [self.usable.index(i) for i in self.selection.chosen] if self.selection else []

    @cached_property
    def average_px(self) -> npt.NDArray[np.float64]:
        """The chosen members' average on the validation rows, shape (rows, points, 2)."""
        return self.validation.average_px(self.selection.chosen if self.selection else ())


@dataclass(frozen=True)
class RunRecord:
    """A run as its files tell it.

    specialists: those that have a split. remarks: sentences on what is missing or left out.
    submitted_px: the submission's values by test image, shape (images, points, 2), NaN where none was asked
    for; None without a submission.
    """

    run: Run
    experiment: Experiment
    provenance: dict[str, str]
    specialists: tuple[SpecialistRecord, ...]
    remarks: tuple[str, ...]
    submitted_px: npt.NDArray[np.float64] | None

    @property
    def members(self) -> list[MemberRecord]:
        """Those of the specialists that have a split."""
        return [member for specialist in self.specialists for member in specialist.members]

    @property
    def selected(self) -> list[SpecialistRecord]:
        """The specialists that have chosen members."""
        return [specialist for specialist in self.specialists if specialist.selection]


def read_run(run: Run, faces: FaceData, validations: Mapping[str, Validation] | None = None) -> RunRecord:
    """Everything that a report shows of a run and the data that it was trained on.

    validations: those of its specialists, where they have been read already, with all members that are
    finished. Raises UserError where there is no run or it was trained on other data.
    """
    experiment = run.read_experiment()
    provenance = run.read_provenance()
    if provenance["data_checksum"] != faces.checksum:
        raise UserError(
            f"{run.path}: expected the data that it was trained on (checksum "
            f"{provenance['data_checksum'][:12]}), received {faces.name} ({faces.checksum[:12]}); name that "
            "data with --data"
        )
    states = {status.name: status.state for status in run_status(run, experiment)}
    begun = [name for name in experiment.specialists if has_split(run, name)]
    remarks: list[str] = []
    stored = _stored_selections(run, remarks)
    specialists = []
    for name in begun:
        validation = (validations or {}).get(name) or read_validation(run, experiment, name, faces.training)
        members = _read_members(run, validation, states)
        specialists.append(_specialist(validation, members, stored.get(name), remarks))
    remarks += [f"{name} has not begun" for name in experiment.specialists if name not in begun]
    submitted_px = _read_submission(run, faces, experiment.schema_points, remarks)
    return RunRecord(run, experiment, provenance, tuple(specialists), tuple(remarks), submitted_px)


def _stored_selections(run: Run, remarks: list[str]) -> dict[str, SelectionReport]:
    try:
        return read_selection(run)
    except UserError as error:
        remarks.append(str(error))
        return {}


def _specialist(
    validation: Validation,
    members: tuple[MemberRecord, ...],
    stored: SelectionReport | None,
    remarks: list[str],
) -> SpecialistRecord:
    """stored: the selection that the run keeps; it counts unless other members have finished since."""
    name, finished = validation.specialist, validation.members
    finite = np.flatnonzero(np.isfinite(validation.predictions_px).all(axis=(1, 2, 3)))
    usable = [finished[position] for position in finite]
    remarks += _left_out(name, members, set(finished), set(usable))
    selection = None
    try:
        if usable:
            current = stored and tuple(member.index for member in stored.members) == finished
            selection = stored if current else validation.select()
        if selection and (unusable := set(selection.chosen) - set(usable)):
            raise UserError(f"the chosen member {min(unusable):02d} predicts no finite numbers")
    except UserError as error:
        selection = None
        remarks.append(f"{name}: no members are chosen, as {error}")
    return SpecialistRecord(members, validation, tuple(usable), selection)


def _left_out(
    specialist: str, members: Sequence[MemberRecord], finished: set[int], usable: set[int]
) -> list[str]:
    """Which members take no part in the figures of the ensemble, and why."""
    reasons = {
        "not finished": [member.index for member in members if member.state != "done"],
        "predictions not finite": sorted(finished - usable),
    }
    return [
        f"{specialist}: {first_few([f'{index:02d}' for index in indices])} left out, {reason}"
        for reason, indices in reasons.items()
        if indices
    ]


def _read_members(
    run: Run, validation: Validation, states: Mapping[str, MemberState]
) -> tuple[MemberRecord, ...]:
    members, images = [], validation.split.images_per_epoch
    training = validation.experiment.of_specialist(validation.specialist)
    for index in range(validation.experiment.specialists[validation.specialist].members):
        name = MemberId(validation.specialist, index).name
        history = _history(run.member(validation.specialist, index), images)
        stopped_early = states[name] == "done" and len(history) < training.epochs_at_most(images)
        members.append(MemberRecord(name, index, states[name], history, stopped_early, training.monitor))
    return tuple(members)


def _history(folder: MemberFolder, images_per_epoch: int) -> pd.DataFrame:
    """The history; what an older one lacks follows from the split."""
    epochs = recorded_epochs(folder)
    if not epochs:
        return pd.DataFrame(columns=list(HistoryColumn), dtype=float)
    history = pd.DataFrame(epochs)
    if HistoryColumn.IMAGES not in history:
        history[HistoryColumn.IMAGES] = images_per_epoch
    if HistoryColumn.TRAINING_SECONDS not in history:
        history[HistoryColumn.TRAINING_SECONDS] = history[HistoryColumn.SECONDS]
    return history


def _read_submission(
    run: Run, faces: FaceData, schema: Schema, remarks: list[str]
) -> npt.NDArray[np.float64] | None:
    """The submission put back into the lookup table's images and coordinates."""
    if not run.submission.is_file():
        return None
    if is_there(run.submission_record):  # earlier versions wrote none
        record = read_record(run.submission_record, SubmissionRecord)
        if not has_checksum(run.submission, record.sha256):
            remarks.append(f"{run.submission}: expected what fkd submit wrote, received another file")
    submitted = read_submission(run.submission)
    if submitted["RowId"].duplicated().any():
        raise UserError(
            f"{run.submission}: expected every RowId once, received one twice; run fkd submit again"
        )
    table = submitted.merge(faces.lookup, on="RowId")
    values = table.pivot(index="ImageId", columns="FeatureName", values="Location")
    values = values.reindex(index=faces.test.ids, columns=list(schema.columns))
    return values.to_numpy(np.float64).reshape(len(faces.test.ids), len(schema.names), 2)
