"""What a person decides about labels: to keep, drop or move them; a CSV that experiments learn from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fkd.core.files import atomic_write_bytes
from fkd.data.csv_cells import Cell, coordinate, integer, nearest, open_csv, read_columns

_COLUMNS = ("row", "keypoint", "decision", "x_px", "y_px")


class Verdict(StrEnum):
    """What becomes of a label."""

    KEEP = "keep"
    DROP = "drop"
    MOVE = "move"


@dataclass(frozen=True)
class Decision:
    """A verdict on a label; moved_px: x and y in pixels of the face where it is moved, else None."""

    verdict: Verdict
    moved_px: tuple[float, float] | None = None


# By training row and point of the schema.
Decisions = Mapping[tuple[int, int], Decision]


def read_decisions(
    path: Path, names: Sequence[str], rows: int, to_rewrite: bool = False
) -> dict[tuple[int, int], Decision]:
    """The decisions of a CSV that `write_decisions` wrote, or a person; names: of the schema's points.

    Raises UserError for a row that is not below `rows`, for an unknown keypoint or verdict, for a label that
    is decided twice, for one that is moved without x_px and y_px and, in a file that is read `to_rewrite` it,
    for further columns: they would be lost.
    """
    decisions = dict[tuple[int, int], Decision]()
    table = read_columns(path, _COLUMNS, may_be_empty=True, to_rewrite=to_rewrite)
    for row, keypoint, verdict, *place in zip(*(table[column] for column in _COLUMNS), strict=True):
        if not 0 <= integer(row) < rows:
            raise row.error(f"a training row from 0 to {rows - 1}")
        if keypoint.text not in names:
            raise keypoint.error(f"a keypoint of the schema such as {nearest(keypoint.text, names)}")
        if verdict.text not in list(Verdict):
            raise verdict.error(f"one of {', '.join(Verdict)}")
        label = integer(row), names.index(keypoint.text)
        if label in decisions:
            raise row.error("each label once", f"{keypoint.text} of row {row.text} again")
        is_moved = verdict.text == Verdict.MOVE
        decisions[label] = Decision(Verdict(verdict.text), _place(*place) if is_moved else None)
    return decisions


def holds_decisions(path: Path) -> bool:
    """Whether a CSV has the column of verdicts; raises UserError as `open_csv` does."""
    with open_csv(path) as stream:
        return b"decision" in stream.readline().strip().split(b",")


def write_decisions(path: Path, decisions: Decisions, names: Sequence[str]) -> None:
    """Write decisions, whole or not at all; the same ones give the same bytes, in whatever order."""
    lines = [",".join(_COLUMNS)]
    for (row, point), decision in sorted(decisions.items()):
        place = ("", "") if decision.moved_px is None else tuple(f"{px:.2f}" for px in decision.moved_px)
        lines.append(",".join((str(row), names[point], decision.verdict, *place)))
    atomic_write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def _place(x: Cell, y: Cell) -> tuple[float, float]:
    for cell in (x, y):
        if math.isnan(coordinate(cell)):
            raise cell.error("a number of pixels, as the label is moved")
    return coordinate(x), coordinate(y)
