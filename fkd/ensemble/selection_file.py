"""selection.json of a run: what `fkd select` chose, and what the choice is worth."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from fkd.core.files import is_there
from fkd.ensemble.selection import Estimate, MemberScore, SelectionReport
from fkd.ensemble.stacking import Stack
from fkd.experiment.records import Number, SelectRecord, read_record, write_record
from fkd.experiment.store import Run

_ESTIMATES = ("best_single", "average_of_all", "average_of_chosen")


class _EstimateRecord(SelectRecord):
    """An `Estimate`; NaN where the members predict no numbers."""

    in_sample_px: float
    honest_px: float | None = None


class _ScoreRecord(SelectRecord):
    index: Number
    rmse_px: float
    weight: Number


class _ReportRecord(SelectRecord):
    """weights: of a stack, for every chosen member one a point of the specialist."""

    specialist: str
    policy: str
    members: list[_ScoreRecord]
    chosen: list[Number] = Field(min_length=1)
    weights: list[list[Annotated[float, Field(allow_inf_nan=False)]]] | None = None
    best_single: _EstimateRecord
    average_of_all: _EstimateRecord
    average_of_chosen: _EstimateRecord

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        weights = {score.index: score.weight for score in self.members}
        if any(weights.get(index) != self.chosen.count(index) for index in self.chosen):
            raise ValueError("the chosen members are not those with a weight")
        if self.weights and [len(row) for row in self.weights] != [len(self.weights[0])] * len(self.chosen):
            raise ValueError("a chosen member has not one weight a point")
        return self


class _SelectionRecord(SelectRecord):
    specialists: list[_ReportRecord]

    @model_validator(mode="before")
    @classmethod
    def _as_before(cls, values: Any) -> Any:
        return {"specialists": values} if isinstance(values, list) else values  # as earlier versions wrote it


def write_selection(run: Run, reports: Sequence[SelectionReport]) -> None:
    """Keep every specialist's choice in the run."""
    write_record(run.selection, _SelectionRecord(specialists=[_to_record(report) for report in reports]))


def read_selection(run: Run) -> dict[str, SelectionReport]:
    """The choices that a run keeps, by specialist; empty where nothing was selected.

    Raises DamagedRecordError for a file that `write_selection` has not written.
    """
    if not is_there(run.selection):
        return {}
    record = read_record(run.selection, _SelectionRecord)
    return {report.specialist: _from_record(report) for report in record.specialists}


def _to_record(report: SelectionReport) -> _ReportRecord:
    estimates = {name: getattr(report, name) for name in _ESTIMATES}
    return _ReportRecord(
        specialist=report.specialist,
        policy=report.policy,
        members=[_ScoreRecord(index=m.index, rmse_px=m.rmse_px, weight=m.weight) for m in report.members],
        chosen=list(report.chosen),
        weights=report.chosen.weights.tolist() if isinstance(report.chosen, Stack) else None,
        **{
            name: _EstimateRecord(in_sample_px=one.in_sample_px, honest_px=one.cross_validated_px)
            for name, one in estimates.items()
        },
    )


def _from_record(record: _ReportRecord) -> SelectionReport:
    estimates = {name: getattr(record, name) for name in _ESTIMATES}
    return SelectionReport(
        specialist=record.specialist,
        policy=record.policy,
        members=tuple(MemberScore(m.index, m.rmse_px, m.weight) for m in record.members),
        chosen=Stack(record.chosen, np.array(record.weights)) if record.weights else tuple(record.chosen),
        **{name: Estimate(one.in_sample_px, one.honest_px) for name, one in estimates.items()},
    )
