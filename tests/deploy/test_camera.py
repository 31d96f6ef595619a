"""A camera's pictures: answered with the faces that are followed, and refused where they are none."""

import base64
from threading import Lock

import cv2
import numpy as np
import pytest

from fkd.core.errors import UserError
from fkd.data.labelled_photos import Square
from fkd.data.photos import Photo
from fkd.deploy import camera, face_follower
from fkd.deploy.camera import Camera, add_camera
from fkd.deploy.photos import FacePoints

POINTS_PX, RADII_PX = (
    np.array([[10.0, 20.0], [np.nan, np.nan], [30.0, 40.0]]),
    np.array([2.0, np.nan, np.nan]),
)
GREY = np.zeros((60, 80), np.uint8)
PICTURE = Photo(np.dstack([GREY] * 3), GREY)


@pytest.fixture(autouse=True)
def one_face(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture shows a face in the same place, and a clock ticks a twentieth of a second."""
    square = np.array([[5, 5, 50]])
    face = FacePoints(Square(5, 5, 50), POINTS_PX, np.zeros(3), RADII_PX, False)
    monkeypatch.setattr(face_follower, "find_faces_in_photo", lambda grey, yunet: square)
    monkeypatch.setattr(
        face_follower, "predict_squares", lambda ensemble, photo, squares: [face] * len(squares)
    )
    ticks = iter(np.arange(0, 100, 0.05))
    monkeypatch.setattr(camera.time, "monotonic", lambda: float(next(ticks)))


def load(name: str) -> object:
    if name != "quick":
        raise UserError(f"no run {name}")
    return object()


def test_faces_come_back_with_what_is_known_of_their_points() -> None:
    answer = Camera(load).answer("page", "quick", PICTURE)
    assert answer == {
        "faces": [
            {"number": 1, "square": [5, 5, 50], "points": [[10, 20, 2], [30, 40, 0]], "doubtful": False}
        ]
    }


def test_every_page_has_its_own_faces_at_its_own_pace() -> None:
    seen = Camera(load)
    for _ in range(40):
        seen.answer("one", "quick", PICTURE)
    one = seen.pages["one", "quick"]
    assert one.follow.frames_per_s == pytest.approx(20, rel=0.01), "twenty pictures a second"
    for page in range(8):
        seen.answer(str(page), "quick", PICTURE)
    assert ("one", "quick") not in seen.pages, "the page that has been quiet for longest is forgotten"


def jpeg(height: int, width: int) -> str:
    return base64.b64encode(cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1]).decode()


@pytest.mark.parametrize(
    ("run", "picture", "words"),
    [
        ("quick", "no base64", "expected a small JPEG, received"),
        ("quick", base64.b64encode(b"GIF89a").decode(), "expected a small JPEG, received cannot identify"),
        ("quick", jpeg(700, 700), "expected a small JPEG, received 700 x 700 pixels"),
        ("quick", "A" * (2**16 + 1), "picture: String should have at most 65536 characters"),
        ("other", jpeg(60, 80), "no run other"),
    ],
)
def test_what_is_no_small_picture_is_answered_in_words(run: str, picture: str, words: str) -> None:
    shown = add_camera(load, "quick", Lock())
    question = {"page": "page", "run": run, "picture": picture}
    assert words in shown.ask(question)["problem"]
    assert len(shown.ask(question | {"run": "quick", "picture": jpeg(60, 80)})["faces"]) == 1
