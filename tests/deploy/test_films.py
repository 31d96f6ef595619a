"""Films whose face is one bright pixel, as in test_photos; the ensemble looks for it."""

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkd.core.interrupt import InterruptedTrainingError
from fkd.data.labelled_photos import Square
from fkd.data.photos import Photo
from fkd.deploy import films
from fkd.deploy.films import COLUMNS, FaceFollower, SteadyPoints, predict_films
from fkd.deploy.photos import FacePoints

FRAMES_PER_S, SIDE_PX = 25.0, 100.0


def _steady(points_px: np.ndarray) -> np.ndarray:
    """One point's places, frame by frame, shape (frames, 2), made steady."""
    steady = SteadyPoints(FRAMES_PER_S)
    return np.array([steady(place[np.newaxis], SIDE_PX)[0] for place in points_px])


def test_a_still_face_trembles_less_and_stays_where_it_is():
    rng = np.random.default_rng(0)
    seen_px = np.array([50.0, 30.0]) + rng.normal(0, 0.3, (500, 2))
    shown_px = _steady(seen_px)[50:]
    jitter, before = (np.diff(places, axis=0).std() for places in (shown_px, seen_px))
    assert jitter < before / 3
    np.testing.assert_allclose(shown_px.mean(axis=0), [50, 30], atol=0.05)


def test_a_moving_face_is_followed():
    x_px = SIDE_PX * np.arange(50) / FRAMES_PER_S  # its own side in a second
    shown_px = _steady(np.column_stack([x_px, np.zeros(50)]))
    assert np.abs(shown_px[25:, 0] - x_px[25:]).max() < 2.0


def test_a_point_that_nobody_predicts_stays_unknown():
    assert np.isnan(_steady(np.full((3, 2), np.nan))).all()


class Found:
    """Squares that a search finds, by its number; none from then on."""

    def __init__(self, *by_search: list[tuple[int, int, int]]) -> None:
        self.by_search = list(by_search)

    def __call__(self, grey: np.ndarray, yunet: Path | None) -> np.ndarray:
        found = self.by_search.pop(0) if self.by_search else []
        return np.array(found, np.int64).reshape(-1, 3)


def test_a_face_keeps_its_number_until_it_is_lost(monkeypatch: pytest.MonkeyPatch):
    def predict(ensemble: object, photo: Photo, squares: np.ndarray) -> list[FacePoints]:
        nothing = np.zeros(1)
        return [FacePoints(Square(*square), np.zeros((1, 2)), nothing, nothing, False) for square in squares]

    left, moved, right = (0, 0, 100), (5, 3, 100), (200, 0, 100)
    monkeypatch.setattr(films, "predict_squares", predict)
    monkeypatch.setattr(films, "find_faces_in_photo", Found([left], [moved, right]))
    follow, grey = FaceFollower(Ensemble(), FRAMES_PER_S), np.zeros((100, 300), np.uint8)
    numbers = [list(follow(Photo(np.dstack([grey] * 3), grey))) for _ in range(60)]
    # A search every ten frames: the second finds the left face again, and a right one; later ones none.
    assert numbers[:10] == [[1]] * 10
    assert numbers[10:47] == [[1, 2]] * 37
    assert numbers[-1] == []


class Follower:
    """One face at the brightest pixel of every frame."""

    def __init__(self, ensemble: object, frames_per_s: float, yunet: Path | None) -> None:
        self.frames_per_s = frames_per_s

    def __call__(self, photo) -> dict[int, FacePoints]:
        y, x = np.unravel_index(photo.grey.argmax(), photo.grey.shape)
        points_px = np.array([[x, y], [np.nan, np.nan]], float)
        return {1: FacePoints(Square(x - 8, y - 8, 16), points_px, np.zeros(2), np.ones(2), False)}


class Ensemble:
    class experiment:  # noqa: N801
        class schema_points:  # noqa: N801
            names = ("left_eye", "right_eye")


def _film(path: Path, frames: int) -> Path:
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FRAMES_PER_S, (96, 64))
    for number in range(frames):
        picture = np.zeros((64, 96, 3), np.uint8)
        picture[28:36, 16 + 4 * number : 24 + 4 * number] = 255
        film.write(picture)
    film.release()
    return path


@pytest.fixture(autouse=True)
def _brightest_pixel(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(films, "FaceFollower", Follower)


def test_a_film_becomes_a_film_and_a_table(tmp_path: Path):
    said: list[str] = []
    film = _film(tmp_path / "walk.mp4", frames=10)
    assert predict_films(Ensemble(), [film], tmp_path / "out", said.append) == 0
    assert said == [f"{film}: 10 frames, {tmp_path}/out/walk-points.mp4, {tmp_path}/out/walk-points.csv"]
    with (tmp_path / "out/walk-points.csv").open(newline="") as text:
        lines = list(csv.DictReader(text))
    assert tuple(lines[0]) == COLUMNS
    assert [line["frame"] for line in lines] == [str(number) for number in range(10)]
    assert [float(line["second"]) for line in lines] == pytest.approx(np.arange(10) / FRAMES_PER_S)
    x_px = [float(line["x_px"]) for line in lines]
    assert np.abs(np.diff(x_px) - 4).max() <= 4, "the square moves four pixels a frame"
    assert {line["point"] for line in lines} == {"left_eye"}
    written = cv2.VideoCapture(str(tmp_path / "out/walk-points.mp4"))
    assert written.get(cv2.CAP_PROP_FPS) == FRAMES_PER_S
    there, frame = written.read()
    assert there
    assert frame.shape == (64, 96, 3)
    assert frame[..., 1].astype(int).max() - frame[..., 2].astype(int).min() > 100, "a green dot"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "walk-points.csv",
        "walk-points.mp4",
    ]


def test_what_is_no_film_is_told_and_the_others_are_done(tmp_path: Path):
    said: list[str] = []
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    film = _film(tmp_path / "walk.mp4", frames=2)
    assert (
        predict_films(Ensemble(), [broken, tmp_path / "none.mp4", film], tmp_path / "out", said.append) == 2
    )
    assert said[0].startswith(f"{broken}: expected a film, received one that OpenCV cannot read; convert")
    assert said[1].startswith(f"{tmp_path}/none.mp4: expected a film, received no such file")
    assert (tmp_path / "out/walk-points.mp4").is_file()


def test_a_stop_leaves_nothing_of_the_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fkd.core.interrupt.StopRequest.reason", "SIGTERM")
    film = _film(tmp_path / "walk.mp4", frames=2)
    with pytest.raises(InterruptedTrainingError, match=r"^SIGTERM: .*: nothing was written$"):
        predict_films(Ensemble(), [film], tmp_path / "out", print)
    assert list((tmp_path / "out").iterdir()) == []


def test_films_of_one_name_get_files_of_their_own_and_no_input_is_replaced(tmp_path: Path):
    for folder in ("a", "b", "out"):
        (tmp_path / folder).mkdir()
    inputs = [
        _film(tmp_path / "a/walk.mp4", frames=2),
        _film(tmp_path / "b/walk.mp4", frames=3),
        _film(tmp_path / "out/walk-points.mp4", frames=1),  # one frame, too
    ]
    former, said = inputs[2].read_bytes(), []
    assert predict_films(Ensemble(), inputs, tmp_path / "out", said.append) == 0
    assert inputs[2].read_bytes() == former
    assert [line.split(": ")[1].split(",")[0] for line in said] == ["2 frames", "3 frames", "1 frame"]
    written = {path.name for path in (tmp_path / "out").glob("*.csv")}
    assert written == {"walk-2-points.csv", "walk-3-points.csv", "walk-points-points.csv"}


def test_a_name_that_is_no_utf_8_is_told_and_the_others_are_done(tmp_path: Path):
    said: list[str] = []
    odd = tmp_path / os.fsdecode(b"u\xff.mp4")
    odd.write_bytes(b"")
    film = _film(tmp_path / "walk.mp4", frames=2)
    assert predict_films(Ensemble(), [odd, film], tmp_path / "out", said.append) == 1
    assert "expected a name in UTF-8, received other bytes; rename it" in said[0]


def test_a_film_that_was_not_written_whole_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr("fkd.deploy.films._Writer.write", lambda *some: None)  # as where the disk is full
    assert predict_films(Ensemble(), [_film(tmp_path / "walk.mp4", 2)], tmp_path / "out", said.append) == 1
    assert "expected 2 frames to be written, found 0; make room on the disk" in said[0]
    assert list((tmp_path / "out").iterdir()) == []
