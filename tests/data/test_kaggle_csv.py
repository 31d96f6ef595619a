import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from competition_files import (
    PIXELS,
    Table,
    competition_tables,
    image_pixels,
    pixel_text,
    to_text,
    write_competition,
    write_table,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import SHARED_DATA

from fkd.core.errors import UserError
from fkd.core.keypoints import KAGGLE15, listed_schema
from fkd.data.faces import FaceData
from fkd.data.kaggle_csv import (
    find_files,
    missing_files,
    read_files,
    read_lookup,
    read_test,
    read_training,
)

WILD15 = SHARED_DATA / "wild15"


def read(folder: Path) -> FaceData:
    return read_files("tiny", "0", find_files(folder), print)


def replace_cell(stem: str, line: int, column: str, text: str) -> Callable[[dict[str, Table]], None]:
    def change(tables: dict[str, Table]) -> None:
        table = tables[stem]
        table[line - 1][table[0].index(column)] = text

    return change


def remove_column(stem: str, column: str) -> Callable[[dict[str, Table]], None]:
    def change(tables: dict[str, Table]) -> None:
        place = tables[stem][0].index(column)
        tables[stem] = [line[:place] + line[place + 1 :] for line in tables[stem]]

    return change


def with_pixel(place: int, text: str) -> str:
    """The first face's pixels with one of them (counted from 1) replaced."""
    numbers = pixel_text(0).split()
    numbers[place - 1] = text
    return " ".join(numbers)


def test_every_file_is_read(tmp_path: Path) -> None:
    data = read(write_competition(tmp_path))
    assert data.point_names == KAGGLE15.names
    np.testing.assert_array_equal(data.training.images[1].ravel(), image_pixels(1))
    np.testing.assert_array_equal(data.training.keypoints[2, 10], [40, 41])  # nose tip: columns 20 and 21
    np.testing.assert_array_equal(data.training.ids, [0, 1, 2])
    np.testing.assert_array_equal(data.test.images[0].ravel(), image_pixels(11))
    np.testing.assert_array_equal(data.test.ids, [1, 2])
    assert np.isnan(data.test.keypoints).all()
    assert data.groups is not None
    np.testing.assert_array_equal(data.groups, [5, 5, 6])
    assert data.lookup["ImageId"].value_counts().to_dict() == {1: 30, 2: 8}
    assert list(data.lookup.columns) == ["RowId", "ImageId", "FeatureName"]
    assert data.training.images.dtype == np.uint8
    assert data.training.keypoints.dtype == np.float32
    assert data.training.ids.dtype == data.test.ids.dtype == data.groups.dtype == np.int64


def test_extra_files_and_the_location_column_may_be_absent(tmp_path: Path) -> None:
    write_competition(tmp_path, remove_column("IdLookupTable", "Location"))
    (tmp_path / "groups.csv").unlink()
    (tmp_path / "solution.csv").unlink()
    data = read(tmp_path)
    assert data.groups is None
    assert data.solution is None
    assert len(data.lookup) == 38


def test_solution_follows_the_lookup_and_takes_its_feature_names(tmp_path: Path) -> None:
    def reverse(tables: dict[str, Table]) -> None:
        tables["solution"][1:] = tables["solution"][:0:-1]

    data = read(write_competition(tmp_path, reverse))
    assert data.solution is not None
    assert list(data.solution.columns) == ["RowId", "FeatureName", "Location", "Usage"]
    assert data.solution["Location"].tolist() == [row + 0.5 for row in range(1, 39)]
    assert data.solution["FeatureName"].tolist() == data.lookup["FeatureName"].tolist()


def test_columns_may_stand_in_another_order(tmp_path: Path) -> None:
    table = [line[-2::-1] + line[-1:] for line in competition_tables()["training"]]
    faces = read_training(write_table(tmp_path, "training", table))
    np.testing.assert_array_equal(faces.keypoints[0].ravel(), np.arange(30))


@pytest.mark.parametrize(
    "dress",
    [
        pytest.param(lambda text: b"\xef\xbb\xbf" + text, id="byte order mark"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda text: text.rstrip(b"\n"), id="no newline at the end"),
        pytest.param(lambda text: text + b"\n\n", id="empty lines at the end"),
        pytest.param(lambda text: re.sub(rb"([^,\n]+)", rb'"\1"', text), id="quoted"),
        pytest.param(lambda text: text.replace(b" ", b"  "), id="double spaces"),
        pytest.param(lambda text: text.replace(b"\n", b" \n"), id="space after the pixels"),
        pytest.param(lambda text: re.sub(rb" (\d) ", rb" 00\1 ", text), id="leading zeros"),
        pytest.param(lambda text: text.replace(b" ", b" " + b"0" * 5000, 1), id="thousands of leading zeros"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\r\n"), id="doubled returns"),
    ],
)
def test_other_ways_of_writing_the_same(tmp_path: Path, dress: Callable[[bytes], bytes]) -> None:
    plain = to_text(competition_tables()["training"]).encode()
    dressed = dress(plain)
    assert dressed != plain
    path = tmp_path / "training.csv"
    path.write_bytes(dressed)
    faces = read_training(path)
    np.testing.assert_array_equal(faces.images.reshape(3, -1), [image_pixels(face) for face in range(3)])
    np.testing.assert_array_equal(faces.keypoints[1].ravel(), np.arange(10, 40))


def test_other_points_are_other_columns(tmp_path: Path) -> None:
    path = write_table(tmp_path, "training", competition_tables()["training"])
    keypoints = read_training(path, schema=listed_schema(("nose_tip", "mouth_center_top_lip"))).keypoints
    np.testing.assert_array_equal(keypoints[0], [[20, 21], [26, 27]])
    with pytest.raises(UserError, match=r"line 1, column chin_x: expected it in the header"):
        read_training(path, schema=listed_schema(("chin",)))


def test_missing_labels_and_places_outside_the_frame(tmp_path: Path) -> None:
    table = competition_tables()["training"]
    table[1][:6] = ["", "NaN", "", "33.5", "-7.25", "1e2"]
    said: list[str] = []
    keypoints = read_training(write_table(tmp_path, "training", table), said.append).keypoints
    np.testing.assert_array_equal(keypoints[0, :4], [[np.nan] * 2, [np.nan] * 2, [-7.25, 100], [6, 7]])
    assert [line.partition(": ")[2] for line in said] == [
        "points with only one coordinate, which count as unlabelled: 1"
    ]


def test_ordinary_rows_take_the_fast_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = competition_tables()["training"]
    table[1][:2] = ["", ""]
    path = write_table(tmp_path, "training", table)
    monkeypatch.delattr("fkd.data.kaggle_csv.parse_spaced_pixels")
    monkeypatch.delattr("fkd.data.csv_cells.coordinate")
    assert len(read_training(path).images) == 3


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 19))
def test_any_pixels_come_back(tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int) -> None:
    top = [2, 10, 256][seed % 3]  # one, one or two, one to three digits
    pixels = np.random.default_rng(seed).integers(top, size=(rows, PIXELS), dtype=np.uint8)
    table = [["ImageId", "Image"]]
    table += [[str(row), " ".join(map(str, values))] for row, values in enumerate(pixels.tolist())]
    path = write_table(tmp_path_factory.mktemp("any"), "test", table)
    np.testing.assert_array_equal(read_test(path).images.reshape(rows, -1), pixels)


BAD_CELLS = {
    "pixel is text": ("training", 2, "Image", with_pixel(9, "abc"), "'abc' as pixel 9"),
    "pixel is negative": ("training", 2, "Image", with_pixel(1, "-1"), "'-1' as pixel 1"),
    "pixel is 256": ("training", 2, "Image", with_pixel(PIXELS, "256"), "'256' as pixel 9216"),
    "pixel is 1000": ("training", 2, "Image", with_pixel(5, "1000"), "'1000' as pixel 5"),
    "pixel is no whole number": ("test", 3, "Image", with_pixel(5, "1.5"), "'1.5' as pixel 5"),
    "pixel too few": ("training", 4, "Image", pixel_text(0).rpartition(" ")[0], "received 9215"),
    "pixel too many": ("test", 3, "Image", pixel_text(0) + " 0", "received 9217"),
    "no pixels": ("test", 2, "Image", "", "received 0"),
    "coordinate is text": ("training", 3, "nose_tip_y", "left", "'left'"),
    "coordinate is infinite": ("training", 3, "nose_tip_x", "-inf", "'-inf'"),
    "coordinate is huge": ("training", 3, "nose_tip_x", "1e39", "'1e39'"),
    "coordinate is far outside": ("training", 3, "nose_tip_x", "1e9", "'1e9'"),
    "coordinate with underscore": ("training", 3, "nose_tip_x", "1_0", "'1_0'"),
    "test id is no whole number": ("test", 3, "ImageId", "2.5", "'2.5'"),
    "test id is repeated": ("test", 3, "ImageId", "1", "1 again (first on line 2)"),
    "lookup row id is text": ("IdLookupTable", 4, "RowId", "x", "'x'"),
    "lookup row id is repeated": ("IdLookupTable", 4, "RowId", "2", "2 again (first on line 3)"),
    "lookup image id is unknown": ("IdLookupTable", 5, "ImageId", "3", "'3'"),
    "lookup image id is text": ("IdLookupTable", 5, "ImageId", "", "''"),
    "lookup feature is unknown": ("IdLookupTable", 6, "FeatureName", "nose_tp_x", "such as nose_tip_x"),
    "group is text": ("groups", 3, "group", "a", "'a'"),
    "group's row is out of range": ("groups", 3, "row", "3", "'3'"),
    "group's row is repeated": ("groups", 3, "row", "0", "0 again (first on line 2)"),
    "solution row id is unknown": ("solution", 3, "RowId", "99", "'99'"),
    "solution row id is repeated": ("solution", 3, "RowId", "1", "1 again (first on line 2)"),
    "solution is empty": ("solution", 3, "Location", "", "''"),
    "solution is far outside": ("solution", 3, "Location", "500", "'500'"),
    "solution is infinite": ("solution", 3, "Location", "inf", "'inf'"),
}


@pytest.mark.parametrize(("stem", "line", "column", "text", "received"), BAD_CELLS.values(), ids=BAD_CELLS)
def test_a_bad_value_is_named(
    tmp_path: Path, stem: str, line: int, column: str, text: str, received: str
) -> None:
    folder = write_competition(tmp_path, replace_cell(stem, line, column, text))
    with pytest.raises(UserError) as complaint:
        read(folder)
    message = str(complaint.value)
    assert message.startswith(f"{find_files(folder)[stem]}, line {line}, column {column}: expected ")
    assert received in message
    assert "\n" not in message


BAD_TABLES = {
    "missing column": (remove_column("training", "nose_tip_x"), "line 1, column nose_tip_x", "none like it"),
    "renamed column": (
        replace_cell("training", 1, "nose_tip_x", "nosetip_x"),
        "column nose_tip_x",
        "'nosetip_x'",
    ),
    "duplicate column": (
        lambda tables: [line.insert(0, line[0]) for line in tables["training"]],
        "line 1, column left_eye_center_x",
        "2 times",
    ),
    "image not last": (
        lambda tables: [line.reverse() for line in tables["test"]],
        "line 1, column Image",
        "'ImageId' there",
    ),
    "value missing": (lambda tables: tables["training"][2].pop(0), "line 3", "31 values on the line"),
    "value too many": (lambda tables: tables["IdLookupTable"][4].append("?"), "line 5", "received 5 values"),
    "lookup without RowId": (
        remove_column("IdLookupTable", "RowId"),
        "line 1, column RowId",
        "IdLookupTable",
    ),
    "header only": (lambda tables: tables["training"].__delitem__(slice(1, None)), "line 2", "received none"),
    "lookup header only": (
        lambda tables: tables["IdLookupTable"].__delitem__(slice(1, None)),
        "line 2",
        "received none",
    ),
    "groups too short": (lambda tables: tables["groups"].pop(), "line 3, column row", "received 2 rows"),
    "solution too short": (lambda tables: tables["solution"].pop(), "line 38, column RowId", "no 38"),
}


@pytest.mark.parametrize(("change", "place", "received"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_is_named(
    tmp_path: Path, change: Callable[[dict[str, Table]], object], place: str, received: str
) -> None:
    with pytest.raises(UserError) as complaint:
        read(write_competition(tmp_path, change))
    message = str(complaint.value)
    assert message.startswith(str(tmp_path))
    assert place in message
    assert received in message


ENDLESS_LINES = {
    "a row": (
        b"ImageId,Image\n1," + b"0 " * 600_000,
        "line 2, .* expected a line of less than 1,048,576 bytes",
    ),
    "empty lines": (b"ImageId,Image\n" + b"\n" * 2000, "line 2001, .* received more than 1,000 empty lines"),
    "the header": (b"ImageId,Image" + b"," * 2_000_000, "line 1, .* expected it as the last column"),
    "returns alone": (
        b"ImageId,Image\r1,0\r",
        "received carriage returns alone; save it with other line ends",
    ),
}


@pytest.mark.parametrize(("text", "words"), ENDLESS_LINES.values(), ids=ENDLESS_LINES)
def test_what_never_ends_is_not_read_through(tmp_path: Path, text: bytes, words: str) -> None:
    (tmp_path / "test.csv").write_bytes(text)
    with pytest.raises(UserError, match=words):
        read_test(tmp_path / "test.csv")


@pytest.mark.parametrize("stem", ["training", "IdLookupTable", "groups"])
def test_an_empty_csv_is_named(tmp_path: Path, stem: str) -> None:
    write_competition(tmp_path)
    (tmp_path / "training.zip").unlink()
    write_table(tmp_path, "training", competition_tables()["training"])
    path = tmp_path / f"{stem}.csv"
    path.write_bytes(b"")
    with pytest.raises(UserError, match=f"{stem}.csv: .* empty file"):
        read(tmp_path)


def test_files_are_found_zipped_or_not(tmp_path: Path) -> None:
    assert missing_files(find_files(tmp_path)) == [
        "training.csv (or .zip)",
        "test.csv (or .zip)",
        "IdLookupTable.csv (or .zip)",
    ]
    write_competition(tmp_path)
    assert missing_files(find_files(tmp_path)) == []
    assert find_files(tmp_path)["training"].name == "training.zip"
    (tmp_path / "training.csv").touch()
    assert find_files(tmp_path)["training"].name == "training.csv"


@pytest.mark.skipif(not WILD15.is_dir(), reason="needs ../shared/data/kaggle")
def test_all_copies_of_the_lookup_table_say_the_same() -> None:
    copies = (SHARED_DATA / "kaggle").glob("IdLookupTable*.csv")
    first, second, third = (read_lookup(path, np.arange(1, 1784)) for path in copies)
    assert len(first) == 27_124
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(first, third)


@pytest.mark.skipif(not WILD15.is_dir(), reason="needs ../shared/data/wild15")
def test_real_rows_read_as_pandas_and_numpy_do(tmp_path: Path) -> None:
    with zipfile.ZipFile(WILD15 / "training.zip") as archive, archive.open("training.csv") as stream:
        lines = [stream.readline() for _ in range(51)]
    path = tmp_path / "training.csv"
    path.write_bytes(b"".join(lines))
    table = pd.read_csv(path)
    images = np.array([np.fromstring(text, np.uint8, sep=" ") for text in table["Image"]])
    faces = read_training(path)
    np.testing.assert_array_equal(faces.images.reshape(50, -1), images)
    np.testing.assert_array_equal(
        faces.keypoints.reshape(50, -1), table[list(KAGGLE15.columns)].to_numpy(np.float32)
    )
