"""selection.json of a run: what `fkd select` chose, and what the choice is worth."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from fkd.core.errors import UserError
from fkd.core.files import atomic_write_json
from fkd.ensemble.selection import Estimate, MemberScore, SelectionReport
from fkd.experiment.store import Run

_Record = TypeVar("_Record")
_ESTIMATES = ("best_single", "average_of_all", "average_of_chosen")


def write_selection(run: Run, reports: Sequence[SelectionReport]) -> None:
    """Keep every specialist's choice in the run."""
    atomic_write_json(run.selection, [_to_json(report) for report in reports])


def read_selection(run: Run) -> dict[str, SelectionReport]:
    """The choices that a run keeps, by specialist; empty where nothing was selected.

    Raises UserError for a file that `write_selection` has not written.
    """
    return _read(run, _from_json)


def read_chosen(run: Run) -> dict[str, list[int]]:
    """The chosen members' numbers alone, by specialist, for those who need not know what they are worth.

    Empty where nothing was selected. Raises UserError for a file without them.
    """
    return _read(run, lambda record: [int(index) for index in record["chosen"]])


def _read(run: Run, convert: Callable[[dict[str, Any]], _Record]) -> dict[str, _Record]:
    if not run.selection.is_file():
        return {}
    try:
        records = json.loads(run.selection.read_text(encoding="utf-8"))
        return {record["specialist"]: convert(record) for record in records}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{run.selection}: expected what fkd select writes, received another file; run fkd select again"
        ) from error


def _to_json(report: SelectionReport) -> dict[str, Any]:
    return asdict(report) | {name: _estimate_to_json(getattr(report, name)) for name in _ESTIMATES}


def _estimate_to_json(estimate: Estimate) -> dict[str, float | None]:
    return {"in_sample_px": estimate.in_sample_px, "honest_px": estimate.cross_validated_px}


def _from_json(record: dict[str, Any]) -> SelectionReport:
    return SelectionReport(
        specialist=record["specialist"],
        policy=record["policy"],
        members=tuple(MemberScore(**member) for member in record["members"]),
        chosen=tuple(int(index) for index in record["chosen"]),
        **{
            name: Estimate(record[name]["in_sample_px"], cross_validated_px=record[name]["honest_px"])
            for name in _ESTIMATES
        },
    )
