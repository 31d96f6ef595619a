"""Strict reading of small CSV files: every value knows where it stands, for one clear line of complaint.

Lines are counted as an editor counts them: the header is line 1.
"""

import csv
import difflib
import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError

_MISSING = {"", "nan", "na", "n/a", "null"}
_LARGEST_COORDINATE = float(np.finfo(np.float32).max)
_BLOCK_BYTES = 2**18
_SHOWN_CHARACTERS = 30


class Cell(NamedTuple):
    """A value's text and place."""

    path: Path
    line: int
    column: str
    text: str

    def error(self, expected: str, received: str | None = None) -> UserError:
        """The complaint about this cell; `received` is its own text unless given."""
        return UserError(
            f"{self.path}, line {self.line}, column {self.column}: expected {expected}, "
            f"received {received or shown(self.text)}; correct it or fetch the file again."
        )


class Line(NamedTuple):
    """A line's place and the texts of the columns that are read, not yet cells: a large file has many."""

    path: Path
    number: int
    columns: Sequence[str]
    texts: Sequence[str]

    def cells(self) -> list[Cell]:
        """The texts with their places, without quotes."""
        named = zip(self.columns, self.texts, strict=True)
        return [Cell(self.path, self.number, column, text.strip(' "')) for column, text in named]


def shown(text: str) -> str:
    """The beginning of a wrong value in quotes, on one line."""
    return repr(text[:_SHOWN_CHARACTERS])


@contextmanager
def open_csv(path: Path) -> Iterator[BinaryIO]:
    """Open `<stem>.csv`, or the file of this name inside `<stem>.zip`.

    Raises UserError for an empty or unreadable file and a damaged zip, also while the stream is being read.
    """
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{path}: expected a CSV file, received an empty file; fetch it again.")
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive)) as member:
                yield cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, member), _BLOCK_BYTES))
        else:
            with path.open("rb", buffering=_BLOCK_BYTES) as stream:
                yield stream
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{path}: expected a whole zip file, received: {error}; fetch it again.") from error
    except (OSError, csv.Error) as error:
        raise UserError(f"{path}: expected a readable CSV file, received: {error}; replace it.") from error


def read_header(path: Path, line: str, columns: Sequence[str]) -> list[str]:
    """The column names of a file's first line. Raises UserError unless each of `columns` is there once."""
    header = [name.strip() for name in next(csv.reader([line]), [])]
    unknown = [name for name in header if name not in columns]
    for column in columns:
        cell = Cell(path, 1, column, column)
        if header.count(column) > 1:
            raise cell.error("it once in the header", f"it {header.count(column)} times")
        if column not in header:
            hint = nearest(column, unknown)
            raise cell.error("it in the header", f"{hint!r} as its nearest name" if hint else "none like it")
    return header


def read_columns(path: Path, columns: Sequence[str]) -> dict[str, list[Cell]]:
    """The cells of some columns of a file; columns beyond them are no harm.

    Raises UserError for a missing column, a line with too many or too few values, and a file without lines.
    """
    cells: dict[str, list[Cell]] = {column: [] for column in columns}
    with open_csv(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        header = read_header(path, text.readline(), columns)
        reader = csv.reader(text)
        for values in filter(None, reader):
            line = reader.line_num + 1
            check_width(path, line, header, len(values))
            for column, value in zip(header, values, strict=True):
                if column in cells:
                    cells[column].append(Cell(path, line, column, value.strip()))
    check_not_empty(path, cells[columns[0]])
    return cells


def check_width(path: Path, line: int, header: Sequence[str], width: int) -> None:
    """Raise UserError unless a line has as many values as the header."""
    if width != len(header):
        column = header[min(width, len(header) - 1)]
        raise Cell(path, line, column, "").error(f"{len(header)} values on the line", f"{width} values")


def check_not_empty(path: Path, rows: Sequence[object]) -> None:
    """Raise UserError if nothing follows the header."""
    if not rows:
        raise UserError(
            f"{path}, line 2: expected rows after the header, received none; fetch the file again."
        )


def integer(cell: Cell) -> int:
    """A whole number, else UserError."""
    if not re.fullmatch("-?[0-9]{1,18}", cell.text):
        raise cell.error("a whole number")
    return int(cell.text)


def unique_integers(cells: Sequence[Cell]) -> list[int]:
    """Whole numbers of which none comes twice, else UserError."""
    lines: dict[int, int] = {}
    for cell in cells:
        value = integer(cell)
        if value in lines:
            raise cell.error("each value once", f"{value} again (first on line {lines[value]})")
        lines[value] = cell.line
    return list(lines)


def coordinate(cell: Cell) -> float:
    """Pixels, or NaN where the text is empty or stands for nothing; else UserError."""
    if cell.text.lower() in _MISSING:
        return math.nan
    try:
        value = float(cell.text)
    except ValueError:
        value = math.nan
    if "_" in cell.text or not abs(value) <= _LARGEST_COORDINATE:
        raise cell.error("a finite number of pixels or nothing")
    return value


def coordinates(lines: Sequence[Line]) -> npt.NDArray[np.float64]:
    """Pixels, shape (lines, columns), as `coordinate` reads each; UserError at the first that is wrong."""
    try:
        values = np.array([[float(text or "nan") for text in line.texts] for line in lines])
        plain = not (np.abs(values) > _LARGEST_COORDINATE).any()
    except ValueError:
        plain = False
    if plain and not any("_" in "".join(line.texts) for line in lines):
        return values
    return np.array([[coordinate(cell) for cell in line.cells()] for line in lines])


def nearest(name: str, candidates: Sequence[str]) -> str | None:
    """The candidate that is spelt most like `name`."""
    return next(iter(difflib.get_close_matches(name, candidates, n=1, cutoff=0)), None)


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    wanted = f"{path.stem}.csv"
    for name in archive.namelist():
        if PurePosixPath(name).name == wanted:
            return name
    received = ", ".join(archive.namelist()[:3]) or "nothing"
    raise UserError(f"{path}: expected {wanted} inside, received {received}; fetch it again.")
