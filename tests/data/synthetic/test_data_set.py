"""The embedded data set: its files are the competition's, and it is not too easy."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from repository import SHARED_DATA

from fkd.core.errors import UserError
from fkd.core.keypoints import IMAGE_SIZE_PX, KAGGLE15
from fkd.data.synthetic import data_set as synthetic
from fkd.data.synthetic.data_set import draw_synthetic_faces, write_synthetic

TRAINING_FACES, TEST_FACES = 60, 30
FULL, FOUR = 2 * len(KAGGLE15.names), 2 * len(KAGGLE15.subsets["four"])
FILES = {
    "training.zip",
    "test.zip",
    "IdLookupTable.csv",
    "SampleSubmission.csv",
    "groups.csv",
    "solution.csv",
}
WILD15 = SHARED_DATA / "wild15"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    write_synthetic(folder, training_faces=TRAINING_FACES, test_faces=TEST_FACES)
    return folder


def read_zipped(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"{path.stem}.csv"]
        return archive.read(archive.namelist()[0]).decode()


def mean_shape(folder: Path) -> pd.Series:
    return pd.read_csv(folder / "training.zip")[list(KAGGLE15.columns)].mean()


# Files


def test_training_has_the_two_source_pattern(folder: Path) -> None:
    header, *rows = read_zipped(folder / "training.zip").splitlines()
    assert header.split(",") == [*KAGGLE15.columns, "Image"]
    assert len(rows) == TRAINING_FACES
    in_four = np.repeat([name in KAGGLE15.subsets["four"] for name in KAGGLE15.names], 2)
    for number, row in enumerate(rows):
        *labels, pixels = row.split(",")
        labelled = [label != "" for label in labels]
        assert labelled == ([True] * FULL if number < TRAINING_FACES // 3 else in_four.tolist())
        values = [int(value) for value in pixels.split(" ")]
        assert len(values) == IMAGE_SIZE_PX**2
        assert min(values) >= 0
        assert max(values) <= 255


def test_test_images_are_numbered_from_one(folder: Path) -> None:
    header, *rows = read_zipped(folder / "test.zip").splitlines()
    assert header == "ImageId,Image"
    assert [int(row.split(",")[0]) for row in rows] == list(range(1, TEST_FACES + 1))
    assert {len(row.split(",")[1].split(" ")) for row in rows} == {IMAGE_SIZE_PX**2}


def test_lookup_asks_for_all_values_or_those_of_four_points(folder: Path) -> None:
    lookup = pd.read_csv(folder / "IdLookupTable.csv")
    assert list(lookup.columns) == ["RowId", "ImageId", "FeatureName", "Location"]
    assert lookup.RowId.tolist() == list(range(1, len(lookup) + 1))
    assert set(lookup.Location) == {"?"}
    four = [name for name in KAGGLE15.columns if name[:-2] in KAGGLE15.subsets["four"]]
    asked = [names.tolist() for _, names in lookup.groupby("ImageId").FeatureName]
    assert all(names in (list(KAGGLE15.columns), four) for names in asked)
    assert sum(len(names) == FULL for names in asked) == TEST_FACES // 3
    assert len(asked) == TEST_FACES


def test_sample_and_solution_follow_the_lookup(folder: Path) -> None:
    lookup, solution = (pd.read_csv(folder / name) for name in ("IdLookupTable.csv", "solution.csv"))
    header, first, *rest = (folder / "SampleSubmission.csv").read_text().splitlines()
    assert (header, first, len(rest)) == ("RowId,Location", "1,0.0", len(lookup) - 1)
    assert list(solution.columns) == ["RowId", "ImageId", "FeatureName", "Location", "Usage"]
    keys = ["RowId", "ImageId", "FeatureName"]
    pd.testing.assert_frame_equal(solution[keys], lookup[keys])
    assert np.isfinite(solution.Location).all()
    usage = solution.groupby("ImageId").Usage.agg(["nunique", "first"])
    assert (usage["nunique"] == 1).all()
    assert usage["first"].value_counts().to_dict() == {"Public": TEST_FACES // 2, "Private": TEST_FACES // 2}


@pytest.mark.skipif(not WILD15.is_dir(), reason="needs ../shared/data/wild15")
@pytest.mark.parametrize("name", ["training.zip", "test.zip", "IdLookupTable.csv", "SampleSubmission.csv"])
def test_headers_are_those_of_real_files(folder: Path, name: str) -> None:
    real, drawn = (pd.read_csv(path / name, nrows=1) for path in (WILD15, folder))
    assert list(drawn.columns) == list(real.columns)


def test_no_person_is_in_training_and_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn = []

    def note_identities(seed, identities, indices, loose):
        drawn.extend(identities)
        blank = np.zeros((len(indices), 1, 1), np.uint8)
        return blank, np.zeros((len(indices), len(KAGGLE15.names), 2), np.float32)

    monkeypatch.setattr(synthetic, "draw_synthetic_faces", note_identities)
    write_synthetic(tmp_path / "set", training_faces=TRAINING_FACES, test_faces=TEST_FACES)
    groups = pd.read_csv(tmp_path / "set" / "groups.csv")
    assert groups.row.tolist() == list(range(TRAINING_FACES))
    assert groups.group.tolist() == drawn[:TRAINING_FACES]
    assert set(drawn[:TRAINING_FACES]).isdisjoint(drawn[TRAINING_FACES:])
    assert set(groups.group.value_counts()) == {1, 2, 3, 4}


def test_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_synthetic(tmp_path / "again", training_faces=TRAINING_FACES, test_faces=TEST_FACES)
    write_synthetic(tmp_path / "other", seed=1, training_faces=TRAINING_FACES, test_faces=TEST_FACES)
    assert {path.name for path in folder.iterdir()} == FILES
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name
    assert (tmp_path / "other" / "training.zip").read_bytes() != (folder / "training.zip").read_bytes()


def test_processes_draw_what_one_process_draws(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic, "SERIAL_TASKS", 0)
    monkeypatch.setattr("fkd.core.say._TOLD_EVERY_S", 0)
    said: list[str] = []
    write_synthetic(
        tmp_path / "parallel", training_faces=TRAINING_FACES, test_faces=TEST_FACES, say=said.append
    )
    assert re.fullmatch(r"50 of 90 faces are drawn, \d+ s left", said[0])
    assert said[-1] == "90 of 90 faces are drawn, 0 s left"
    for name in FILES:
        assert (tmp_path / "parallel" / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.parametrize("problem", [OSError("no space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_when_writing_is_interrupted(
    problem: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv = pd.DataFrame.to_csv

    def fail_at_the_last(table: pd.DataFrame, path: Path, **settings: object) -> None:
        if path.name == "solution.csv":
            raise problem
        write_csv(table, path, **settings)

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail_at_the_last)
    with pytest.raises(type(problem)):
        write_synthetic(tmp_path / "set", training_faces=2, test_faces=2)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="expected a new or empty folder"):
        write_synthetic(tmp_path, training_faces=2, test_faces=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# Difficulty


def test_the_mean_shape_is_a_bad_answer(folder: Path) -> None:
    solution = pd.read_csv(folder / "solution.csv")
    errors = solution.Location - solution.FeatureName.map(mean_shape(folder))
    assert np.sqrt((errors**2).mean()) > 3.5


def test_most_of_the_mean_shapes_error_is_not_a_shift_of_the_face() -> None:
    _, keypoints = draw_synthetic_faces(0, range(60), range(60), [False] * 60)
    errors = keypoints - keypoints.mean(axis=0)
    unshifted = errors - errors.mean(axis=1, keepdims=True)
    assert (unshifted**2).mean() > 0.5 * (errors**2).mean()


# Faces


def test_a_face_depends_on_its_numbers_only() -> None:
    images, keypoints = draw_synthetic_faces(3, [7, 8, 9], [0, 1, 2], [False, True, False])
    image, points = draw_synthetic_faces(3, [8], [1], [True])
    np.testing.assert_array_equal(images[1:2], image)
    np.testing.assert_array_equal(keypoints[1:2], points)
