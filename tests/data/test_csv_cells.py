"""Values of CSV files, and where they stand; files that are damaged as a whole."""

import gzip
import math
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from competition_files import competition_tables, pixel_text, write_table
from hypothesis import given, settings
from hypothesis import strategies as st

from fkd.core.errors import UserError
from fkd.data import csv_cells
from fkd.data.csv_cells import (
    LARGEST_TABLE_BYTES,
    Cell,
    Line,
    coordinate,
    coordinates,
    nearest,
    open_csv,
    read_columns,
    unique_integers,
)
from fkd.data.kaggle_csv import read_test, read_training


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


def add_another(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more/training.csv", "a,b\n")


def pack_by_lzma(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("training.csv", "a,b\n")


def claim_much_text(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.infolist()[0].file_size = 2**31
        archive.comment = b"written anew"


BAD_FILES = {
    "truncated": (truncate, "whole zip file"),
    "damaged": (damage, "whole zip file"),
    "no zip": (lambda path: path.write_text("<html>Please sign in</html>"), "whole zip file"),
    "without the csv": (rename_member, "expected one training.csv inside, received 'other.csv'"),
    "with two of them": (add_another, "received 'training.csv', 'more/training.csv'"),
    "packed by LZMA": (pack_by_lzma, "received one packed by LZMA"),
    "of far too much text": (claim_much_text, r"unzips to at most 100 times its size, received [\d,]+ times"),
    "empty": (lambda path: path.write_bytes(b""), "received an empty file"),
}


@pytest.mark.parametrize(("spoil", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_zip_is_named(tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    path = write_table(tmp_path, "training", competition_tables()["training"], zipped=True)
    spoil(path)
    with pytest.raises(UserError, match=words) as complaint:
        read_training(path)
    assert str(path) in str(complaint.value)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_to_a_zip_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = "x,y\n" + "".join(f"{i},{i * i}\n" for i in range(50))
    path = tmp_path_factory.mktemp("damage") / "a.zip"
    with zipfile.ZipFile(
        path, "w", data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    ) as a:
        a.writestr("a.csv", text)
    spoilt = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(spoilt)
    with suppress(UserError):
        assert [cell.text for cell in read_columns(path, ["x", "y"])["y"]] == [str(i * i) for i in range(50)]


def test_a_wrong_value_in_a_damaged_zip_is_damage(tmp_path: Path) -> None:
    table = [["ImageId", "Image"], *([str(face), pixel_text(0)] for face in range(20))]
    path = write_table(tmp_path, "test", table, zipped=True)  # more than is read at once
    path.write_bytes(path.read_bytes().replace(pixel_text(0).encode(), b"?" * len(pixel_text(0)), 1))
    with pytest.raises(UserError, match="expected a whole zip file, received: Bad CRC-32"):
        read_test(path)


OTHER_FORMATS = {
    "UTF-16": ("x,y\n1,2\n".encode("utf-16"), "UTF-16 or a binary file"),
    "UTF-16 without a mark": ("x,y\n1,2\n".encode("utf-16-be"), "UTF-16 or a binary file"),
    "semicolons": (b"x;y\n1,5;2\n", "values separated by semicolons"),
    "tabs": (b"x\ty\n1\t2\n", "values separated by tabs"),
    "zip": (b"PK\3\4\0\0", "a zip or Excel file"),
    "gzip": (gzip.compress(b"x,y\n1,2\n"), "a gzip file"),
}


@pytest.mark.parametrize(("content", "words"), OTHER_FORMATS.values(), ids=OTHER_FORMATS)
@pytest.mark.parametrize("read", [lambda path: read_columns(path, ["x"]), read_training])
def test_another_format_is_named(
    tmp_path: Path, read: Callable[[Path], object], content: bytes, words: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    expected = rf"a\.csv: expected comma-separated UTF-8, received {words}; save it as CSV with commas"
    with pytest.raises(UserError, match=expected):
        read(path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("last", [",", ""])
def test_lines_of_a_table_may_end_early_and_in_any_way(tmp_path: Path, end: str, last: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(end.join(["x,y,note", f"1,2{last}", "", f"3,4{last}", ""]), newline="")
    assert read_columns(path, ["x", "y"])["y"] == [Cell(path, 2, "y", "2"), Cell(path, 4, "y", "4")]
    with pytest.raises(UserError, match="line 1, column z"):
        read_columns(path, ["z"])


def test_a_value_that_is_read_may_not_be_missing(tmp_path: Path) -> None:
    path = write_table(tmp_path, "a", [["x", "y"], ["1", "2"], ["3"]])
    with pytest.raises(UserError, match="line 3, column y: expected 2 values on the line, received 1"):
        read_columns(path, ["x", "y"])


def test_a_table_of_far_too_much_text_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as stream:
        stream.truncate(2 * LARGEST_TABLE_BYTES)  # a hole: it takes no space
    with pytest.raises(UserError, match="expected at most 64 MB of text, received 128 MB"):
        read_columns(path, ["x"])


def test_a_table_of_far_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_cells, "MOST_TABLE_ROWS", 2)
    assert len(read_columns(write_table(tmp_path, "a", [["x"], ["1"], ["2"]]), ["x"])["x"]) == 2
    with pytest.raises(UserError, match="line 4, column x: expected at most 2 rows, received more"):
        read_columns(write_table(tmp_path, "b", [["x"], ["1"], ["2"], ["3"], ["4"]]), ["x"])


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"a\.csv: expected a readable CSV file, received none"):
        read_columns(tmp_path / "a.csv", ["x"])


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
    ("text", "pixels"), [("-96", -96), ("192.0", 192), ("1e2", 100), ("NaN", math.nan), ("n/a", math.nan)]
)
def test_a_coordinate(text: str, pixels: float) -> None:
    assert coordinate(cell(text)) == pytest.approx(pixels, abs=0, nan_ok=True)


@pytest.mark.parametrize("text", ["-96.5", "192.1", "1e9", "1e38", "-inf", "infinity"])
def test_a_coordinate_far_outside_the_frame_is_a_mistake(text: str) -> None:
    expected = f"line 2, column x: expected a number of pixels from -96 to 192 or nothing, received '{text}'"
    with pytest.raises(UserError, match=expected):
        coordinate(cell(text))
    with pytest.raises(UserError, match=expected):
        coordinates([Line(Path("a.csv"), 2, ["x"], [text])])


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
    with pytest.raises(UserError, match=r"line 3, column y: expected a number of pixels .* received '1_0'"):
        coordinates(lines)


def test_the_nearest_name() -> None:
    assert nearest("nose_tip_x", ["left_eye_x", "nosetip_x"]) == "nosetip_x"
    assert nearest("nose_tip_x", []) is None
    assert nearest("nose_tip_x", ["x" * 100_000, "chin_x"]) == "chin_x"
