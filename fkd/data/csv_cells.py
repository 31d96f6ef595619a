"""Strict reading of small CSV files: every value knows where it stands, for one clear error message.

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

from fkd.core.errors import UserError, one_line
from fkd.core.keypoints import LABEL_RANGE_PX, is_far_outside

LONGEST_LINE_BYTES = 2**20  # a line of 9,216 pixels has about 37,000
LARGEST_TABLE_BYTES = 2**26  # the competition's largest, the lookup table, has 0.9 MB
MOST_TABLE_ROWS = 2**20  # and 27,124 rows

_MISSING = {"", "nan", "na", "n/a", "null"}
_BLOCK_BYTES = 2**18
_SHOWN_CHARACTERS = 30
_LONGEST_NAME, _MOST_NAMES, _LONGEST_REASON = 100, 1000, 200
# Zipped pixels shrink 3 to 10 times; below the first size no harm is done.
_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO = 2**30, 100
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,  # an encrypted file
    NotImplementedError,
    UnicodeDecodeError,  # of a name
)
# What other files begin with, and what their users call them.
_OTHER_FORMATS = ((b"PK\3\4", "a zip or Excel file"), (b"\x1f\x8b", "a gzip file"))
_OTHER_SEPARATORS = ((b";", "semicolons"), (b"\t", "tabs"), (b"|", "bars"))


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
def open_csv(path: Path, largest_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Open `<stem>.csv`, or the file of this name inside `<stem>.zip`.

    largest_bytes: of the text, unzipped. Raises UserError for an empty, unreadable or larger file, one of
    another format and a damaged zip, also while the stream is being read. What is wrong with a value in a
    damaged zip is not the value, so then the zip is named.
    """
    opened = _open_zip if path.suffix == ".zip" else _open_plain
    try:
        if not path.is_file():
            raise UserError(f"{path}: expected a readable CSV file, received none; check the path.")
        if path.stat().st_size == 0:
            raise UserError(f"{path}: expected a CSV file, received an empty file; fetch it again.")
        with opened(path, largest_bytes) as stream:
            _check_format(path, stream.peek())
            yield cast(BinaryIO, stream)
    except _ZIP_ERRORS as error:
        received = one_line(error)[:_LONGEST_REASON]
        raise UserError(
            f"{path}: expected a whole zip file, received: {received}; fetch it again."
        ) from error
    except (OSError, csv.Error) as error:
        raise UserError(f"{path}: expected a readable CSV file, received: {error}; replace it.") from error


def read_header(path: Path, line: str, columns: Sequence[str]) -> list[str]:
    """The column names of a file's first line. Raises UserError unless each of `columns` is there once."""
    if "\r" in line.rstrip("\r\n"):
        expected = "lines that end in line feeds, received carriage returns alone"
        raise UserError(f"{path}: expected {expected}; save it with other line ends.")
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


def read_columns(
    path: Path, columns: Sequence[str], may_be_empty: bool = False, to_rewrite: bool = False
) -> dict[str, list[Cell]]:
    """The cells of some columns of a table; columns beyond them are no harm, but in a file `to_rewrite`.

    The last value may be missing from a line where it is not read. Lines may end in any way, doubled returns
    too. Raises UserError for a missing column, a line with too many or too few values, a file without lines
    or with too many, and for further columns that would be lost when the file is written again.
    """
    cells: dict[str, list[Cell]] = {column: [] for column in columns}
    with open_csv(path, LARGEST_TABLE_BYTES) as stream:
        text = re.sub("\r+\n|\r", "\n", stream.read().decode("utf-8-sig", errors="replace"))
        first_line, _, rest = text.partition("\n")
        header = read_header(path, first_line, columns)
        if to_rewrite and (others := [name for name in header if name not in columns]):
            raise UserError(
                f"{path}: expected the columns {', '.join(columns)} alone, received {others[0]!r:.80} too, "
                "which would be lost; take it out"
            )
        reader = csv.reader(io.StringIO(rest))
        for values in filter(None, reader):
            line = reader.line_num + 1
            if len(values) == len(header) - 1 and header[-1] not in columns:
                values.append("")
            check_width(path, line, header, len(values))
            for column, value in zip(header, values, strict=True):
                if column in cells:
                    cells[column].append(Cell(path, line, column, value.strip()))
            if len(cells[columns[0]]) > MOST_TABLE_ROWS:
                raise cells[columns[0]][-1].error(f"at most {MOST_TABLE_ROWS:,} rows", "more")
    if not may_be_empty:
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
    """Distinct whole numbers, else UserError."""
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
    if "_" in cell.text or not LABEL_RANGE_PX[0] <= value <= LABEL_RANGE_PX[1]:
        raise cell.error(f"a number of pixels from {LABEL_RANGE_PX[0]} to {LABEL_RANGE_PX[1]} or nothing")
    return value


def coordinates(lines: Sequence[Line]) -> npt.NDArray[np.float64]:
    """Pixels, shape (lines, columns), as `coordinate` reads each; UserError at the first that is wrong."""
    try:
        values = np.array([[float(text or "nan") for text in line.texts] for line in lines])
        plain = not is_far_outside(values).any()
    except ValueError:
        plain = False
    if plain and not any("_" in "".join(line.texts) for line in lines):
        return values
    return np.array([[coordinate(cell) for cell in line.cells()] for line in lines])


def nearest(name: str, candidates: Sequence[str]) -> str | None:
    """The candidate that is spelt most like `name`; of very many or very long ones it looks at some."""
    names = [candidate for candidate in candidates[:_MOST_NAMES] if len(candidate) <= _LONGEST_NAME]
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0)), None)


@contextmanager
def _open_plain(path: Path, largest_bytes: int | None) -> Iterator[io.BufferedReader]:
    _check_size(path, path.stat().st_size, largest_bytes)
    with path.open("rb", buffering=_BLOCK_BYTES) as stream:
        yield cast(io.BufferedReader, stream)


@contextmanager
def _open_zip(path: Path, largest_bytes: int | None) -> Iterator[io.BufferedReader]:
    with _archive(path) as archive:
        member = _member(path, archive)
        _check_size(path, member.file_size, largest_bytes)
        ratio = member.file_size / max(member.compress_size, 1)
        if member.file_size > _SUSPICIOUS_BYTES and ratio > _SUSPICIOUS_RATIO:
            raise UserError(
                f"{path}: expected text that unzips to at most {_SUSPICIOUS_RATIO} times its size, "
                f"received {ratio:,.0f} times; fetch it again or unzip it."
            )
        try:
            with archive.open(member) as stream:
                yield io.BufferedReader(cast(io.RawIOBase, stream), _BLOCK_BYTES)
        except UserError:
            with archive.open(member) as stream:  # at its end the CRC-32 is checked
                while stream.read(_BLOCK_BYTES):
                    pass
            raise


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # a damaged table of contents raises nearly every kind there is
        raise zipfile.BadZipFile(str(error)) from error


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    wanted = f"{path.stem}.csv"
    files = [info for info in archive.infolist() if not info.filename.endswith("/")]
    found = [info for info in files if PurePosixPath(info.filename).name == wanted]
    if len(found) == 1 and found[0].compress_type != zipfile.ZIP_LZMA:  # it may ask for any memory
        return found[0]
    if len(found) == 1:
        raise UserError(f"{path}: expected a file as zip packs it, received one packed by LZMA; unzip it.")
    names = ", ".join(shown(info.filename) for info in (found or files)[:3]) or "nothing"
    raise UserError(f"{path}: expected one {wanted} inside, received {names}; fetch it again.")


def _check_size(path: Path, size_bytes: int, largest_bytes: int | None) -> None:
    if largest_bytes is not None and size_bytes > largest_bytes:
        raise UserError(
            f"{path}: expected at most {largest_bytes / 2**20:,.0f} MB of text, "
            f"received {size_bytes / 2**20:,.0f} MB; keep only the columns and rows that are needed."
        )


def _check_format(path: Path, beginning: bytes) -> None:
    """Raise UserError, naming it, if a file begins as one of another format does."""
    line = beginning.partition(b"\n")[0]
    found = [name for magic, name in _OTHER_FORMATS if beginning.startswith(magic)]
    if not found and b"\0" in line:
        found = ["UTF-16 or a binary file"]
    if not found and b"," not in line:
        found = [f"values separated by {name}" for mark, name in _OTHER_SEPARATORS if mark in line]
    if found:
        raise UserError(
            f"{path}: expected comma-separated UTF-8, received {found[0]}; "
            "save it as CSV with commas, in UTF-8."
        )
