"""Faces that are followed: their points made steady, their numbers kept."""

from pathlib import Path

import numpy as np
import pytest

from fkd.data.labelled_photos import Square
from fkd.data.photos import Photo
from fkd.deploy import face_follower
from fkd.deploy.face_follower import FaceFollower, SteadyPoints
from fkd.deploy.photos import FacePoints

FRAMES_PER_S, SIDE_PX = 25.0, 100.0


def _steady(points_px: np.ndarray) -> np.ndarray:
    """One point's places, frame by frame, shape (frames, 2), made steady."""
    steady = SteadyPoints()
    return np.array([steady(place[np.newaxis], SIDE_PX, FRAMES_PER_S)[0] for place in points_px])


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
    monkeypatch.setattr(face_follower, "predict_squares", predict)
    monkeypatch.setattr(face_follower, "find_faces_in_photo", Found([left], [moved, right]))
    follow, grey = FaceFollower(object(), FRAMES_PER_S), np.zeros((100, 300), np.uint8)
    numbers = [list(follow(Photo(np.dstack([grey] * 3), grey))) for _ in range(60)]
    # A search every ten frames: the second finds the left face again, and a right one; later ones none.
    assert numbers[:10] == [[1]] * 10
    assert numbers[10:47] == [[1, 2]] * 37
    assert numbers[-1] == []
