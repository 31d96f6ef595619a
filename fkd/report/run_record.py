"""What a run has left behind, read once for its report; an unfinished run gives what is there."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fkd.core.errors import UserError
from fkd.core.keypoints import Schema
from fkd.data.faces import FaceData
from fkd.ensemble.selection import (
    Estimate,
    MemberScore,
    SelectionReport,
    average_predictions,
    selection_report,
)
from fkd.ensemble.submission import read_submission
from fkd.ensemble.validation import validation_predictions, validation_truth
from fkd.experiment.experiment import Experiment
from fkd.experiment.specialists import Specialist
from fkd.experiment.store import Run, member_name
from fkd.runs.splits import Split, read_split
from fkd.runs.status import MemberState, finished_members, run_status

_HISTORY = ("epoch", "images", "rmse_px", "validation_rmse_px", "training_seconds", "seconds")
# So many members are named one by one in a sentence.
_NAMED = 6


@dataclass(frozen=True)
class MemberRecord:
    """How a member's training went.

    history: one line an epoch, at least the columns epoch, images, rmse_px, validation_rmse_px,
    training_seconds and seconds; without lines before the first epoch is saved.
    stopped_early: done, by the patience of the experiment.
    """

    name: str
    index: int
    state: MemberState
    history: pd.DataFrame
    stopped_early: bool

    @property
    def best(self) -> pd.Series:
        """The history's line of the epoch with the lowest validation error."""
        return self.history.loc[self.history["validation_rmse_px"].idxmin()]


@dataclass(frozen=True)
class SpecialistRecord:
    """A specialist's members, its validation rows and what its usable members predict there.

    points: indices in the schema. truth_px: shape (rows, points, 2). usable: numbers of the members that are
    finished, whole and predict finite numbers; predictions_px: theirs, shape (usable, rows, points, 2).
    selection: None where none can be made, which is so while no member is usable.
    """

    name: str
    points: npt.NDArray[np.intp]
    members: tuple[MemberRecord, ...]
    split: Split
    truth_px: npt.NDArray[np.float32]
    usable: tuple[int, ...]
    predictions_px: npt.NDArray[np.float32]
    selection: SelectionReport | None

    @property
    def chosen(self) -> list[int]:
        """Positions of the chosen members among the usable ones, in the order of choice."""
        return [self.usable.index(i) for i in self.selection.chosen] if self.selection else []

    @property
    def average_px(self) -> npt.NDArray[np.float64]:
        """The chosen members' average on the validation rows, shape (rows, points, 2)."""
        return average_predictions(self.predictions_px, self.chosen)


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
    def selected(self) -> list[SpecialistRecord]:
        """The specialists that have chosen members."""
        return [specialist for specialist in self.specialists if specialist.selection]


def read_run(run: Run, faces: FaceData) -> RunRecord:
    """Everything that a report shows of a run and the data that it was trained on.

    Raises UserError where there is no run or it was trained on other data.
    """
    experiment = run.read_experiment()
    provenance = json.loads(run.provenance.read_text(encoding="utf-8"))
    if provenance["data_checksum"] != faces.checksum:
        raise UserError(
            f"{run.path}: expected the data that it was trained on (checksum "
            f"{provenance['data_checksum'][:12]}), received {faces.name} ({faces.checksum[:12]}); name that "
            "data with --data"
        )
    members = {status.name: status.state for status in run_status(run, experiment)}
    remarks: list[str] = []
    specialists = [
        _read_specialist(run, experiment, name, faces, members, remarks)
        for name in experiment.specialists
        if run.split(name).exists()
    ]
    remarks += [f"{name} has not begun" for name in experiment.specialists if not run.split(name).exists()]
    submitted_px = _read_submission(run, faces, experiment.schema_points)
    return RunRecord(run, experiment, provenance, tuple(specialists), tuple(remarks), submitted_px)


def _read_specialist(
    run: Run,
    experiment: Experiment,
    name: str,
    faces: FaceData,
    states: dict[str, MemberState],
    remarks: list[str],
) -> SpecialistRecord:
    settings, split = experiment.specialists[name], read_split(run, name)
    truth_px = validation_truth(run, experiment, name, faces.training)
    finished, _ = finished_members(run, experiment, name)
    predictions_px = validation_predictions(run, experiment, name, finished, faces.training)
    predictions_px = predictions_px.reshape(len(finished), *truth_px.shape)
    finite = np.flatnonzero(np.isfinite(predictions_px).all(axis=(1, 2, 3)))
    usable = [finished[position] for position in finite]
    members = _read_members(run, experiment, name, settings, len(split.training), states)
    remarks += _left_out(name, members, set(finished), set(usable))
    selection = None
    try:
        if usable:
            selection = _stored_selection(run, name, finished) or selection_report(
                predictions_px, truth_px, split.validation_groups, experiment.selection, name, finished
            )
        if selection and (unusable := set(selection.chosen) - set(usable)):
            raise UserError(f"the chosen member {min(unusable):02d} predicts no finite numbers")
    except UserError as error:
        selection = None
        remarks.append(f"{name}: no members are chosen, as {error}")
    return SpecialistRecord(
        name,
        experiment.point_indices(name),
        members,
        split,
        truth_px,
        tuple(usable),
        predictions_px[finite],
        selection,
    )


def _left_out(
    specialist: str, members: tuple[MemberRecord, ...], finished: set[int], usable: set[int]
) -> list[str]:
    """Which members take no part in the figures of the ensemble, and why."""
    reasons = {
        "not finished": [member.index for member in members if member.state != "done"],
        "files damaged or missing": [
            member.index for member in members if member.state == "done" and member.index not in finished
        ],
        "predictions not finite": sorted(finished - usable),
    }
    return [
        f"{specialist}: {_listed(indices)} left out, {reason}"
        for reason, indices in reasons.items()
        if indices
    ]


def _listed(indices: list[int]) -> str:
    """The first few numbers, and how many more there are."""
    named = ", ".join(f"{index:02d}" for index in indices[:_NAMED])
    more = len(indices) - _NAMED
    return f"{named} and {more} more" if more > 0 else named


def _read_members(
    run: Run,
    experiment: Experiment,
    specialist: str,
    settings: Specialist,
    images_per_epoch: int,
    states: dict[str, MemberState],
) -> tuple[MemberRecord, ...]:
    members = []
    for index in range(settings.members):
        name, state = member_name(specialist, index), states[member_name(specialist, index)]
        history = _read_history(run, specialist, index, images_per_epoch)
        errors_px = history["validation_rmse_px"].to_numpy()
        epochs_without_gain = len(errors_px) - 1 - int(errors_px.argmin()) if len(errors_px) else 0
        stopped_early = state == "done" and epochs_without_gain >= experiment.training.patience_epochs
        members.append(MemberRecord(name, index, state, history, stopped_early))
    return tuple(members)


def _read_history(run: Run, specialist: str, index: int, images_per_epoch: int) -> pd.DataFrame:
    """The history; what an older one lacks follows from the split."""
    path = run.member(specialist, index).history
    if not path.is_file():
        return pd.DataFrame(columns=list(_HISTORY), dtype=float)
    history = pd.read_csv(path)
    if "images" not in history:
        history["images"] = images_per_epoch
    if "training_seconds" not in history:
        history["training_seconds"] = history["seconds"]
    return history


def _stored_selection(run: Run, specialist: str, finished: list[int]) -> SelectionReport | None:
    """The selection that the run keeps, None if there is none or other members have finished since."""
    reports = json.loads(run.selection.read_text(encoding="utf-8")) if run.selection.is_file() else []
    for report in reports:
        if report["specialist"] == specialist:
            read = _selection(report)
            return read if [member.index for member in read.members] == finished else None
    return None


def _selection(report: dict[str, Any]) -> SelectionReport:
    estimates = ("best_single", "average_of_all", "average_of_chosen")
    return SelectionReport(
        specialist=report["specialist"],
        policy=report["policy"],
        members=tuple(MemberScore(**member) for member in report["members"]),
        chosen=tuple(report["chosen"]),
        **{name: Estimate(**report[name]) for name in estimates},
    )


def _read_submission(run: Run, faces: FaceData, schema: Schema) -> npt.NDArray[np.float64] | None:
    """The submission put back into the lookup table's images and coordinates."""
    if not run.submission.is_file():
        return None
    table = read_submission(run.submission).merge(faces.lookup, on="RowId")
    values = table.pivot(index="ImageId", columns="FeatureName", values="Location")
    values = values.reindex(index=faces.test.ids, columns=list(schema.columns))
    return values.to_numpy(np.float64).reshape(len(faces.test.ids), len(schema.names), 2)
