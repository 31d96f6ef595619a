"""Submissions: the lookup's order, what is refused, what is kept, and scores computed by hand."""

import os
import zipfile
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkd.core.errors import UserError
from fkd.core.keypoints import Schema
from fkd.ensemble import submission as submission_module
from fkd.ensemble.submission import (
    read_features,
    read_solution,
    read_submission,
    score,
    submission_table,
    total_rmse_px,
    write_submission,
)

SCHEMA = Schema("two", ("nose", "chin"), {})
IMAGE_IDS = np.array([10, 20])
# Image 10: nose (1, 2), chin (3, 4); image 20: nose (5, 6), chin outside the frame.
PREDICTIONS = np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [-3.0, 99.5]]])
LOOKUP = pd.DataFrame(
    {
        "RowId": [1, 2, 3, 4, 5, 6],
        "ImageId": [10, 10, 10, 20, 20, 20],
        "FeatureName": ["nose_x", "nose_y", "chin_x", "nose_y", "chin_x", "chin_y"],
    }
)
LOCATIONS = [1.0, 2.0, 3.0, 6.0, 0.0, 95.0]

SOLUTION = pd.DataFrame(
    {
        "RowId": [1, 2, 3, 4],
        "FeatureName": ["nose_x", "nose_y", "chin_x", "chin_y"],
        "Location": [10.0, 10.0, 10.0, 10.0],
        "Usage": ["Public", "Public", "Private", "Private"],
    }
)
# Errors of 3, 4, 0 and 5 pixels.
SUBMISSION = pd.DataFrame({"RowId": [4, 3, 2, 1], "Location": [5.0, 10.0, 14.0, 13.0]})


def table(lookup: pd.DataFrame = LOOKUP, predictions: np.ndarray = PREDICTIONS) -> pd.DataFrame:
    return submission_table(lookup, IMAGE_IDS, predictions, SCHEMA)


def test_every_asked_value_is_given_in_order_and_inside_the_frame() -> None:
    submission = table()
    assert list(submission.columns) == ["RowId", "Location"]
    assert submission["RowId"].tolist() == [1, 2, 3, 4, 5, 6]
    assert submission["Location"].tolist() == LOCATIONS


@given(st.permutations(range(6)), st.permutations(range(2)))
def test_rows_follow_the_lookup_in_any_order_of_rows_and_images(rows: list[int], images: list[int]) -> None:
    submission = submission_table(LOOKUP.iloc[rows], IMAGE_IDS[images], PREDICTIONS[images], SCHEMA)
    assert submission["RowId"].tolist() == [row + 1 for row in rows]
    assert submission["Location"].tolist() == [LOCATIONS[row] for row in rows]


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_missing_prediction_names_the_first_row(missing: float) -> None:
    predictions = PREDICTIONS.copy()
    predictions[1] = missing
    with pytest.raises(UserError, match=r"received none for 3, first RowId 4 \(ImageId 20, nose_y\)"):
        table(predictions=predictions)


@pytest.mark.parametrize(("column", "value"), [("ImageId", 30), ("FeatureName", "ear_x")])
def test_unknown_image_or_feature_has_no_prediction(column: str, value: object) -> None:
    lookup = LOOKUP.assign(**{column: [*LOOKUP[column][:2], value, *LOOKUP[column][3:]]})
    with pytest.raises(UserError, match="received none for 1, first RowId 3"):
        table(lookup)


def test_repeated_ids_are_refused() -> None:
    with pytest.raises(UserError, match="lookup table: expected every RowId once, received RowId 1"):
        table(LOOKUP.assign(RowId=[1, 1, 3, 4, 5, 6]))
    with pytest.raises(UserError, match="test images: expected every ImageId once, received ImageId 10"):
        submission_table(LOOKUP, np.array([10, 10]), PREDICTIONS, SCHEMA)


def test_written_csv_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    assert write_submission(table(), path) is None
    assert path.read_text().splitlines()[:2] == ["RowId,Location", "1,1.0000"]
    pd.testing.assert_frame_equal(read_submission(path), table())


def test_earlier_csv_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    contents = [table().assign(Location=float(value)) for value in range(3)]
    kept = [write_submission(content, path) for content in contents]
    assert kept == [None, tmp_path / "submission-1.csv", tmp_path / "submission-2.csv"]
    found = {file.name: read_submission(file)["Location"][0] for file in tmp_path.glob("*.csv")}
    assert found == {"submission.csv": 2, "submission-1.csv": 0, "submission-2.csv": 1}


def test_same_content_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    write_submission(table(), path)
    before = path.stat()
    assert write_submission(table(), path) is None
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert list(tmp_path.glob("*.csv")) == [path]


def scores(solution: pd.DataFrame, lookup: pd.DataFrame | None = None) -> dict[tuple[str, str], float]:
    result = score(SUBMISSION, solution, lookup)
    return dict(zip(zip(result["part"], result["name"], strict=True), result["rmse_px"], strict=True))


def test_score_by_hand() -> None:
    assert scores(SOLUTION) == {
        ("all", "all"): sqrt(50 / 4),
        ("Usage", "Public"): sqrt(25 / 2),
        ("Usage", "Private"): sqrt(25 / 2),
        ("keypoint", "nose"): sqrt(25 / 2),
        ("keypoint", "chin"): sqrt(25 / 2),
        ("feature", "nose_x"): 3,
        ("feature", "nose_y"): 4,
        ("feature", "chin_x"): 0,
        ("feature", "chin_y"): 5,
    }
    assert score(SUBMISSION, SOLUTION)["values"].tolist() == [4, 2, 2, 2, 2, 1, 1, 1, 1]


def test_feature_names_come_from_the_lookup_or_are_left_out() -> None:
    bare = SOLUTION[["RowId", "Location"]]
    assert scores(bare) == {("all", "all"): sqrt(50 / 4)}
    lookup = SOLUTION[["RowId", "FeatureName"]].iloc[::-1]
    assert scores(bare, lookup)["feature", "chin_y"] == 5


@pytest.mark.parametrize(
    ("submission", "words"),
    [
        (SUBMISSION[1:], r"received 3 with 1 missing \(first 4\)"),
        (SUBMISSION.replace({"RowId": {4: 9}}), r"1 missing \(first 4\) and 1 extra \(first 9\)"),
        (SUBMISSION.replace({"RowId": {4: 3}}), "every RowId once, received RowId 3"),
        (SUBMISSION.replace({"Location": {5.0: np.nan}}), "received nan at RowId 4"),
        (
            SUBMISSION.astype({"Location": object}).replace({"Location": {5.0: "?"}}),
            r"received \? at RowId 4",
        ),
    ],
)
def test_unfit_submission_is_refused(submission: pd.DataFrame, words: str) -> None:
    with pytest.raises(UserError, match=words):
        score(submission, SOLUTION)


def test_solution_keeps_its_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "solution.csv"
    SOLUTION.to_csv(path, index=False)
    solution = read_solution(path)
    assert score(SUBMISSION, solution).equals(score(SUBMISSION, SOLUTION))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "received an empty file"),
        ("RowId;Location\n1;2\n", "values separated by semicolons"),
        ("RowId,Location\n", "expected rows below the header"),
        ("RowId,Place\n1,2\n", "columns RowId and Location, received RowId,Place"),
        ("RowId,Location,Usage\n1,2,Public\n", "columns RowId,Location, received RowId,Location,Usage"),
        ("RowId,Location\n1,2\n2,left\n", "line 3, Location: expected a number, received 'left'"),
        ("RowId,Location\n1,2\n2,\n", "line 3, Location: expected a number, received ''"),
        ("RowId,Location\n1,inf\n", "line 2, Location: expected a number, received 'inf'"),
        ("RowId,Location\n1,1e308\n", "line 2, Location: expected a number, received '1e308'"),
        ("RowId,Location\n1e300,2\n", "line 2, RowId: expected a whole number, received '1e300'"),
        ("RowId,Location\n1.5,2\n", "line 2, RowId: expected a whole number, received '1.5'"),
        ("RowId,Location\n1,2,3\n", "expected a CSV with a header line"),
        ("RowId,Location\n1,2\n2,3,4\n", "Expected 2 fields in line 3, saw 3"),
    ],
)
def test_unreadable_csv_gets_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        read_submission(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_utf8_are_a_wrong_value(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_bytes(b"RowId,Location\n1,2\n2,\xff\n")
    with pytest.raises(UserError, match="line 3, Location: expected a number, received"):
        read_submission(path)


def test_a_submission_may_be_zipped(tmp_path: Path) -> None:
    path = tmp_path / "submission.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("submission.csv", "RowId,Location\n1,2\n")
    assert read_submission(path).values.tolist() == [[1, 2]]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="expected a whole zip file"):
        read_submission(path)


def test_a_file_of_far_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission_module, "MOST_TABLE_ROWS", 2)
    path = tmp_path / "submission.csv"
    path.write_text("RowId,Location\n1,2\n2,3\n")
    assert len(read_submission(path)) == 2
    path.write_text("RowId,Location\n1,2\n2,3\n3,4\n")
    with pytest.raises(UserError, match="expected at most 2 rows, received more"):
        read_submission(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing.csv: expected a CSV file, found none"):
        read_submission(tmp_path / "nothing.csv")


def test_the_total_is_the_score_over_all() -> None:
    assert total_rmse_px(SUBMISSION, SOLUTION) == scores(SOLUTION)["all", "all"]


def test_features_of_a_lookup_table(tmp_path: Path) -> None:
    path = tmp_path / "IdLookupTable.csv"
    path.write_text("RowId,ImageId,FeatureName,Location\n2,1,chin_y,?\n")
    assert read_features(path)[["RowId", "FeatureName"]].values.tolist() == [[2, "chin_y"]]
    path.write_text("RowId,ImageId\n2,1\n")
    with pytest.raises(UserError, match="expected the columns RowId and FeatureName"):
        read_features(path)


def test_a_former_submission_that_is_no_file_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "submission.csv")
    with pytest.raises(UserError, match="received no regular file; move it away"):
        write_submission(pd.DataFrame({"RowId": [1], "Location": [1.0]}), tmp_path / "submission.csv")
