"""The embedded data set: its files are the competition's, its points are true to its pictures."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import SHARED_DATA

from fkd.core.errors import UserError
from fkd.core.keypoints import CENTRE_PX, IMAGE_SIZE_PX, KAGGLE15
from fkd.data.synthetic import data_set as synthetic
from fkd.data.synthetic.data_set import draw_synthetic_faces, write_synthetic
from fkd.data.synthetic.face_drawing import draw_face
from fkd.data.synthetic.face_model import Identity, Scene

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
    write_synthetic(tmp_path / "parallel", training_faces=TRAINING_FACES, test_faces=TEST_FACES)
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


def plain_face(identity: Identity, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    image, keypoints = draw_face(identity, scene, np.random.default_rng(0))
    return image.astype(float), keypoints


def mirrored(keypoints: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return keypoints[KAGGLE15.twins] * [-1, 1] + [2 * CENTRE_PX, 0]


def test_a_face_depends_on_its_numbers_only() -> None:
    images, keypoints = draw_synthetic_faces(3, [7, 8, 9], [0, 1, 2], [False, True, False])
    image, points = draw_synthetic_faces(3, [8], [1], [True])
    np.testing.assert_array_equal(images[1:2], image)
    np.testing.assert_array_equal(keypoints[1:2], points)


def test_a_straight_face_is_symmetric() -> None:
    image, keypoints = plain_face(Identity(), Scene())
    np.testing.assert_allclose(keypoints, mirrored(keypoints), atol=1e-4)
    assert keypoints[0, 0] > keypoints[1, 0]  # the person's left eye is on the viewer's right
    brows, eyes, nose, mouth = keypoints[6, 1], keypoints[0, 1], keypoints[10, 1], keypoints[13, 1]
    assert brows < eyes < nose < mouth < keypoints[14, 1]
    assert np.abs(image - image[:, ::-1]).mean() < 2  # strands of hair differ


@settings(deadline=None, max_examples=30)
@given(
    yaw=st.floats(-0.6, 0.6),
    pitch=st.floats(-0.4, 0.4),
    roll=st.floats(-0.4, 0.4),
    gaze=st.floats(-0.1, 0.1),
    light=st.floats(-1, 1),
)
def test_a_mirrored_head_gives_the_mirrored_face(
    yaw: float, pitch: float, roll: float, gaze: float, light: float
) -> None:
    def scene(sign: int) -> Scene:
        return Scene(
            yaw=sign * yaw,
            pitch=pitch,
            roll=sign * roll,
            gaze=(sign * gaze, 0),
            light=(sign * light, -0.4, 0.9),
        )

    bald = Identity(hairline=-4, hair=190)  # strands of hair lie at random
    (image, keypoints), (twin, twin_keypoints) = plain_face(bald, scene(1)), plain_face(bald, scene(-1))
    np.testing.assert_allclose(keypoints, mirrored(twin_keypoints), atol=1e-4)
    assert np.abs(image - twin[:, ::-1]).mean() < 3


POSES = [Scene(), Scene(yaw=0.35), Scene(yaw=-0.3, pitch=0.2, roll=0.3), Scene(mouth_open=0.3, smile=0.5)]
MOUTH_POINTS = ("left_corner", "right_corner", "center_top_lip", "center_bottom_lip")
MAGNIFICATION = 5  # of close-ups, so that brush widths and pixel steps count little
TOLERANCE_PX = 0.2 * MAGNIFICATION


def close_up(identity: Identity, scene: Scene, point: int, **change: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a close-up of a point changes with one tone of the face: x and y pixels (n, 2), and the point."""
    scene = replace(scene, size_px=MAGNIFICATION * scene.size_px, ambient=1.0)
    beside = plain_face(identity, scene)[1][point] - CENTRE_PX
    scene = replace(scene, centre_px=tuple(scene.centre_px - np.round(beside) + 0.25))
    image, keypoints = plain_face(identity, scene)
    change_of_tone = np.abs(image - plain_face(replace(identity, **change), scene)[0])
    y, x = np.nonzero(change_of_tone > change_of_tone.max() / 4)
    return np.stack([x, y], axis=-1), keypoints[point]


@pytest.mark.parametrize("scene", POSES)
@pytest.mark.parametrize("point", [0, 1])
def test_the_iris_is_drawn_round_the_eye_centre(scene: Scene, point: int) -> None:
    wide_open = Identity(eye_height=0.6, iris=20)
    drawn, eye_centre = close_up(wide_open, scene, point, iris=120)
    middle = (drawn.min(axis=0) + drawn.max(axis=0)) / 2
    np.testing.assert_allclose(middle, eye_centre, atol=TOLERANCE_PX)


@pytest.mark.parametrize("scene", POSES)
def test_the_lips_end_at_the_mouths_points(scene: Scene) -> None:
    left, right, top, bottom = (KAGGLE15.names.index(f"mouth_{name}") for name in MOUTH_POINTS)
    for point, axis, extreme in (
        (left, 0, np.max),
        (right, 0, np.min),
        (top, 1, np.min),
        (bottom, 1, np.max),
    ):
        drawn, expected = close_up(Identity(lips=60), scene, point, lips=200)
        if axis == 1:
            drawn = drawn[np.abs(drawn[:, 0] - expected[0]) <= 0.5]
        assert extreme(drawn[:, axis]) == pytest.approx(expected[axis], abs=TOLERANCE_PX)
