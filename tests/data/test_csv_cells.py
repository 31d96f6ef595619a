"""Values of CSV files, and where they stand; files that are damaged as a whole."""

import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from competition_files import competition_tables, write_table

from fkd.core.errors import UserError
from fkd.data.csv_cells import (
    Cell,
    Line,
    coordinate,
    coordinates,
    nearest,
    open_csv,
    read_columns,
    unique_integers,
)
from fkd.data.kaggle_csv import read_training


def cell(text: str, line: int = 2) -> Cell:
    return Cell(Path("a.csv"), line, "x", text)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def damage(path: Path) -> None:
    """Change a byte of the compressed text, so that its CRC-32 does not fit."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rename_member(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.csv", "a,b\n")


BAD_FILES = {
    "truncated": (truncate, "whole zip file"),
    "damaged": (damage, "whole zip file"),
    "no zip": (lambda path: path.write_text("<html>Please sign in</html>"), "whole zip file"),
    "without the csv": (rename_member, "expected training.csv inside, received other.csv"),
    "empty": (lambda path: path.write_bytes(b""), "received an empty file"),
}


@pytest.mark.parametrize(("spoil", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_zip_is_named(tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    path = write_table(tmp_path, "training", competition_tables()["training"], zipped=True)
    spoil(path)
    with pytest.raises(UserError, match=words) as complaint:
        read_training(path)
    assert str(path) in str(complaint.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training\.csv: expected a readable"):
        read_training(tmp_path / "training.csv")


@pytest.mark.parametrize("zipped", [False, True])
def test_the_table_is_found_zipped_or_not(tmp_path: Path, zipped: bool) -> None:
    path = write_table(tmp_path, "a", [["x", "y"], ["1", "2"]], zipped)
    with open_csv(path) as stream:
        assert stream.read() == b"x,y\n1,2\n"


def test_cells_know_their_lines_also_after_empty_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("y,other,x\n 1 ,?,2\n\n3,?,4\n")
    cells = read_columns(path, ["x", "y"])
    assert cells == {
        "x": [Cell(path, 2, "x", "2"), Cell(path, 4, "x", "4")],
        "y": [Cell(path, 2, "y", "1"), Cell(path, 4, "y", "3")],
    }


def test_a_complaint_names_the_place_and_shows_the_beginning() -> None:
    expected = f"a.csv, line 7, column x: expected a whole number, received '{'z' * 30}'; "
    assert str(cell("z" * 31, line=7).error("a whole number")).startswith(expected)


def test_whole_numbers_come_once() -> None:
    assert unique_integers([cell("-3"), cell("12")]) == [-3, 12]
    with pytest.raises(UserError, match=r"line 5, .* received -3 again \(first on line 2\)"):
        unique_integers([cell("-3"), cell("12", line=3), cell("-3", line=5)])
    with pytest.raises(UserError, match=r"expected a whole number, received '1\.0'"):
        unique_integers([cell("1.0")])


@pytest.mark.parametrize(
    ("text", "pixels"), [("-7.25", -7.25), ("1e2", 100), ("NaN", math.nan), ("n/a", math.nan)]
)
def test_a_coordinate(text: str, pixels: float) -> None:
    assert coordinate(cell(text)) == pytest.approx(pixels, abs=0, nan_ok=True)


@pytest.mark.parametrize("missing", ["", "null"])  # only the first of them is read without cells
def test_many_coordinates(missing: str) -> None:
    lines = [
        Line(Path("a.csv"), number, ("x", "y"), texts)
        for number, texts in enumerate([("1.5", missing), ("-2", "1e2")], start=2)
    ]
    np.testing.assert_array_equal(coordinates(lines), [[1.5, np.nan], [-2, 100]])


def test_the_first_wrong_one_of_many_coordinates_is_named() -> None:
    texts = [("1", "2"), ("3", "1_0"), ("inf", "4")]
    lines = [Line(Path("a.csv"), number, ("x", "y"), pair) for number, pair in enumerate(texts, start=2)]
    with pytest.raises(UserError, match=r"line 3, column y: expected a finite number .* received '1_0'"):
        coordinates(lines)


def test_the_nearest_name() -> None:
    assert nearest("nose_tip_x", ["left_eye_x", "nosetip_x"]) == "nosetip_x"
    assert nearest("nose_tip_x", []) is None
