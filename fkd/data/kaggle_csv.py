"""Reads the competition's files, zipped or not, quickly and strictly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import IMAGE_SIZE_PX, KAGGLE15, Schema
from fkd.core.say import Say
from fkd.data.csv_cells import (
    LONGEST_LINE_BYTES,
    Cell,
    Line,
    check_not_empty,
    check_width,
    coordinate,
    coordinates,
    integer,
    nearest,
    open_csv,
    read_columns,
    read_header,
    unique_integers,
)
from fkd.data.faces import FaceData, Faces
from fkd.data.pixel_text import parse_plain_pixels, parse_spaced_pixels

if TYPE_CHECKING:
    import pandas as pd

REQUIRED_FILES = ("training", "test", "IdLookupTable")
OPTIONAL_FILES = ("groups", "solution")

_PIXELS = IMAGE_SIZE_PX**2
_BYTES_AT_ONCE = 2**18  # about 8 rows, whose text and numbers (2 MB) stay in the processor's cache
_MOST_EMPTY_LINES = 1000


def find_files(folder: Path) -> dict[str, Path]:
    """The competition's files in a folder by stem; of a file as .csv and as .zip the .csv counts."""
    stems = REQUIRED_FILES + OPTIONAL_FILES
    candidates = [(stem, folder / f"{stem}{suffix}") for stem in stems for suffix in (".zip", ".csv")]
    return {stem: path for stem, path in candidates if path.is_file()}


def missing_files(files: dict[str, Path]) -> list[str]:
    """What `find_files` did not find and reading needs, as words for the user."""
    return [f"{stem}.csv (or .zip)" for stem in REQUIRED_FILES if stem not in files]


def read_files(
    name: str,
    checksum: str,
    files: dict[str, Path],
    say: Say,
    schema: Schema = KAGGLE15,
) -> FaceData:
    """Read one data set from the files that `find_files` found; `schema` decides which columns.

    Raises UserError at a value that is not as in the competition.
    """
    training = read_training(files["training"], say, schema)
    test = read_test(files["test"], schema)
    lookup = read_lookup(files["IdLookupTable"], test.ids, schema)
    groups = read_groups(files["groups"], len(training.ids)) if "groups" in files else None
    solution = read_solution(files["solution"], lookup) if "solution" in files else None
    return FaceData(name, checksum, schema.names, training, test, groups, lookup, solution)


def read_training(path: Path, say: Say = print, schema: Schema = KAGGLE15) -> Faces:
    """Read training.csv: the coordinate columns of `schema` in any order, then `Image`.

    An empty or NaN coordinate is a missing label. A point with only one of its two coordinates counts as
    unlabelled, and the number of such points is reported. Coordinates outside the frame are kept.
    Raises UserError for columns, coordinates or pixels that are not as expected.
    """
    lines, images = _read_images(path, schema.columns)
    keypoints = coordinates(lines).astype(np.float32).reshape(len(lines), -1, 2)
    absent = np.isnan(keypoints)
    half_labelled = absent.any(axis=2) & ~absent.all(axis=2)
    if half_labelled.any():
        say(f"{path}: points with only one coordinate, which count as unlabelled: {half_labelled.sum():,}")
        keypoints[half_labelled] = np.nan
    return Faces(images, keypoints, np.arange(len(lines)))


def read_test(path: Path, schema: Schema = KAGGLE15) -> Faces:
    """Read test.csv (`ImageId`, `Image`); no point has a label. Raises UserError as `read_training` does."""
    lines, images = _read_images(path, ("ImageId",))
    ids = np.array(unique_integers([cell for line in lines for cell in line.cells()]))
    return Faces(images, np.full((len(lines), len(schema.names), 2), np.nan, np.float32), ids)


def read_lookup(path: Path, image_ids: npt.NDArray[np.int64], schema: Schema = KAGGLE15) -> pd.DataFrame:
    """Read IdLookupTable.csv as columns RowId, ImageId, FeatureName; a `Location` column is ignored.

    Raises UserError for an image that is not in `image_ids`, an unknown feature or a repeated RowId.
    """
    import pandas as pd  # slow to load

    cells = read_columns(path, ("RowId", "ImageId", "FeatureName"))
    known_ids = set(image_ids.tolist())
    for cell in cells["ImageId"]:
        if integer(cell) not in known_ids:
            raise cell.error("the ImageId of a test image")
    for cell in cells["FeatureName"]:
        if cell.text not in schema.columns:
            raise cell.error(f"a coordinate's name such as {nearest(cell.text, schema.columns)}")
    columns: dict[str, Sequence[object]] = {
        "RowId": unique_integers(cells["RowId"]),
        "ImageId": [integer(cell) for cell in cells["ImageId"]],
        "FeatureName": [cell.text for cell in cells["FeatureName"]],
    }
    return pd.DataFrame(columns)


def read_groups(path: Path, faces: int) -> npt.NDArray[np.int64]:
    """Read groups.csv (`row,group`, rows counted from 0, each once, in any order): one number per face.

    Raises UserError for another number of rows and for a row that does not exist or is repeated.
    """
    cells = read_columns(path, ("row", "group"))
    if len(cells["row"]) != faces:
        expected = f"this to be the last of {faces:,} rows, one for each training face"
        raise cells["row"][-1].error(expected, f"{len(cells['row']):,} rows")
    rows = unique_integers(cells["row"])
    for cell in cells["row"]:
        if not 0 <= integer(cell) < faces:
            raise cell.error(f"a training row from 0 to {faces - 1}")
    groups = np.empty(faces, np.int64)
    groups[rows] = [integer(cell) for cell in cells["group"]]
    return groups


def read_solution(path: Path, lookup: pd.DataFrame) -> pd.DataFrame:
    """Read solution.csv (`RowId`, `Location`, `Usage`) in the lookup's order, with the lookup's FeatureName.

    Location is in pixels. Raises UserError unless it gives one finite value for every RowId of the lookup.
    """
    import pandas as pd  # slow to load

    cells = read_columns(path, ("RowId", "Location", "Usage"))
    row_ids = unique_integers(cells["RowId"])
    known_ids = set(lookup["RowId"].tolist())
    for cell in cells["RowId"]:
        if integer(cell) not in known_ids:
            raise cell.error("a RowId of IdLookupTable.csv")
    if absent := known_ids.difference(row_ids):
        raise cells["RowId"][-1].error("every RowId of IdLookupTable.csv up to here", f"no {min(absent)}")
    for cell in cells["Location"]:
        if math.isnan(coordinate(cell)):
            raise cell.error("a number of pixels")
    columns: dict[str, Sequence[object]] = {
        "Location": [coordinate(cell) for cell in cells["Location"]],
        "Usage": [cell.text for cell in cells["Usage"]],
    }
    values = pd.DataFrame(columns, index=row_ids).loc[lookup["RowId"]].reset_index(drop=True)
    return pd.concat([lookup[["RowId", "FeatureName"]], values], axis=1)


def _read_images(path: Path, columns: Sequence[str]) -> tuple[list[Line], npt.NDArray[np.uint8]]:
    """The texts of `columns` for every row, and the images, shape (rows, height, width)."""
    rows: list[Line] = []
    images = bytearray()
    with open_csv(path) as stream, ThreadPoolExecutor(max_workers=1) as reader:
        first_line = stream.readline(LONGEST_LINE_BYTES).decode("utf-8-sig", errors="replace")
        header = read_header(path, first_line, (*columns, "Image"))
        if header[-1] != "Image":
            raise Cell(path, 1, "Image", "").error("it as the last column", f"{header[-1]!r} there")
        number = 2
        # Unzipping and parsing both release Python's lock: while lines are parsed, the next are unzipped.
        coming = reader.submit(_read_lines, stream)
        while lines := coming.result():
            coming = reader.submit(_read_lines, stream)
            parsed, pixels = _parse_lines(path, header, columns, number, lines)
            rows += parsed
            images += pixels.data
            number += len(lines)
            if number - len(rows) > _MOST_EMPTY_LINES:
                received = f"more than {_MOST_EMPTY_LINES:,} empty lines"
                raise Cell(path, number - 1, "Image", "").error("rows", received)
    check_not_empty(path, rows)
    return rows, np.frombuffer(images, np.uint8).reshape(-1, IMAGE_SIZE_PX, IMAGE_SIZE_PX)


def _read_lines(stream: BinaryIO) -> list[bytes]:
    """The next lines of about `_BYTES_AT_ONCE` together; one that is far too long is cut."""
    lines: list[bytes] = []
    size_bytes = 0
    while size_bytes < _BYTES_AT_ONCE and (line := stream.readline(LONGEST_LINE_BYTES)):
        lines.append(line)
        size_bytes += len(line)
    return lines


def _parse_lines(
    path: Path, header: Sequence[str], columns: Sequence[str], number: int, lines: Sequence[bytes]
) -> tuple[list[Line], npt.NDArray[np.uint8]]:
    """The texts of `columns` and the images, shape (rows, pixels), of lines that begin with line `number`.

    The lines are split at every comma: no value of these files contains one, quoted or not.
    """
    places = [header.index(column) for column in columns]
    rows: list[Line] = []
    images: list[bytes] = []
    for line_number, line in enumerate(lines, start=number):
        if len(line) == LONGEST_LINE_BYTES:
            expected = f"a line of less than {LONGEST_LINE_BYTES:,} bytes"
            raise Cell(path, line_number, "Image", "").error(expected, "a longer one")
        before, _, pixels = line.rpartition(b",")
        if not before and not pixels.strip():
            continue  # an empty line
        values = before.decode(errors="replace").split(",")
        check_width(path, line_number, header, len(values) + 1)
        rows.append(Line(path, line_number, columns, [values[place] for place in places]))
        images.append(pixels.strip(b' "\r\n'))
    parsed = parse_plain_pixels(images, _PIXELS)
    if parsed is None:
        one_by_one = [parse_spaced_pixels(*row, _PIXELS) for row in zip(rows, images, strict=True)]
        parsed = np.array(one_by_one, dtype=np.uint8).reshape(-1, _PIXELS)
    return rows, parsed
