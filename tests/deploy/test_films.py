"""Films whose face is one bright pixel, as in test_photos; the ensemble looks for it."""

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkd.core.interrupt import InterruptedTrainingError
from fkd.data.labelled_photos import Square
from fkd.deploy import films
from fkd.deploy.films import COLUMNS, predict_films
from fkd.deploy.photos import FacePoints

FRAMES_PER_S = 25.0


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
