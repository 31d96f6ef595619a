"""The points of the faces before a camera: each picture that a page sends is answered at once."""

import base64
import io
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from fkd.core.errors import UserError, one_line
from fkd.data.photos import Photo
from fkd.deploy.face_follower import FaceFollower
from fkd.deploy.page_server import page_part
from fkd.deploy.photos import FacePoints
from fkd.ensemble.ensemble import Ensemble

if TYPE_CHECKING:
    import gradio as gr

Answer = dict[str, Any]

_MOST_PAGES = 8  # that look at once; an older one's faces get new numbers
_MOST_PIXELS = 640 * 640
_USUAL_PICTURES_PER_S = 10.0
_LATEST_PART = 0.2  # of the latest interval in the pace


class _Question(BaseModel):
    """A picture of a page's camera as a JPEG in base64; page: any name that the page gives itself."""

    model_config = ConfigDict(extra="forbid", strict=True)

    page: str = Field(max_length=40)
    run: str = Field(max_length=1000)
    picture: str = Field(max_length=2**16)


class Watched:
    """One page's faces, and how many pictures a second it sends."""

    def __init__(self, ensemble: Ensemble) -> None:
        self.follow = FaceFollower(ensemble, _USUAL_PICTURES_PER_S)
        self._last_s: float | None = None

    def heard(self, now_s: float) -> None:
        """Note that a picture has come."""
        if self._last_s is not None and now_s > self._last_s:
            pace = 1 / (now_s - self._last_s)
            self.follow.frames_per_s += _LATEST_PART * (pace - self.follow.frames_per_s)
        self._last_s = now_s


class Camera:
    """Answers the pictures of several pages, each with its own faces; for one thread at a time.

    load: gives the ensemble of a run's name. pages: whose faces are followed, by page and run.
    """

    def __init__(self, load: Callable[[str], Ensemble]) -> None:
        self._load = load
        self.pages = OrderedDict[tuple[str, str], Watched]()

    def answer(self, page: str, run: str, photo: Photo) -> Answer:
        """The faces of a picture: number, square, points with radii in pixels, whether it is doubtful."""
        watched = self.pages.pop((page, run), None) or Watched(self._load(run))
        self.pages[page, run] = watched
        if len(self.pages) > _MOST_PAGES:
            self.pages.popitem(last=False)
        watched.heard(time.monotonic())
        faces = watched.follow(photo)
        return {
            "faces": [
                {
                    "number": number,
                    "square": list(face.square),
                    "points": _known(face).tolist(),
                    "doubtful": face.doubtful,
                }
                for number, face in faces.items()
            ]
        }


def add_camera(load: Callable[[str], Ensemble], first: str, lock: Lock) -> "gr.HTML":
    """Put the camera into the page that is being built; its value is the name of the run.

    lock: an ensemble is for one thread at a time.
    """
    camera = Camera(load)

    def answer(question: Any) -> Answer:
        asked = _Question.model_validate(question)
        photo = _photo(asked.picture)
        with lock:
            return camera.answer(asked.page, asked.run, photo)

    return page_part("camera", answer, first)


def _known(face: FacePoints) -> npt.NDArray[np.float64]:
    """The points that a specialist predicts: x, y and radius, 0 where that is not known."""
    known = np.isfinite(face.points_px).all(axis=1)
    return np.column_stack([face.points_px, np.nan_to_num(face.radius_px)])[known]


def _photo(picture: str) -> Photo:
    """A picture that has come in base64; raises UserError for anything but a small JPEG."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(picture, validate=True)), formats=["JPEG"]) as jpeg:
            if jpeg.width * jpeg.height > _MOST_PIXELS:
                raise ValueError(f"{jpeg.width} x {jpeg.height} pixels")
            if "progressive" in jpeg.info:  # it may pass over its pixels a thousand times
                raise ValueError("a progressive one")
            rgb = np.asarray(jpeg.convert("RGB"))
    except Exception as error:  # damaged files make Pillow raise almost anything
        raise UserError(f"expected a small JPEG, received {one_line(error):.100}") from error
    return Photo(rgb, np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8))
