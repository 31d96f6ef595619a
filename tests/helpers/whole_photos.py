"""Whole photos with drawn faces at known places, as the tests of `fkd predict` need them."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fkd.data.synthetic.data_set import draw_synthetic_faces

GREY = 128


def write_camera(path: Path, photo: npt.NDArray[np.uint8]) -> Path:
    """What a browser takes for its camera: a film (MJPEG) that shows a photo."""
    path.write_bytes(cv2.imencode(".jpg", photo)[1].tobytes() * 10)
    return path


def photo_with_faces(
    shape: tuple[int, int], squares: list[tuple[int, int, int]], faces: list[int]
) -> npt.NDArray[np.uint8]:
    """A grey photo of (height, width) with the drawn faces of these numbers in squares (left, top, side)."""
    images, _ = draw_synthetic_faces(0, range(12), range(12), [False] * 12)
    photo = np.full(shape, GREY, np.uint8)
    for (left, top, side), face in zip(squares, faces, strict=True):
        photo[top : top + side, left : left + side] = cv2.resize(images[face], (side, side))
    return photo
