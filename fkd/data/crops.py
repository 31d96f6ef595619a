"""Faces found by OpenCV's Haar cascade, cut out, and points brought back to the whole image."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.keypoints import IMAGE_SIZE_PX

CASCADE = "haarcascade_frontalface_default.xml"
# OpenCV's own defaults: windows grow by a tenth, a face is three windows that agree.
SCALE_FACTOR, MIN_NEIGHBOURS = 1.1, 3

WHOLE_IMAGE = (0, 0, IMAGE_SIZE_PX)

Boxes = npt.NDArray[np.int64]  # (n, 3): column and row of the first pixel, side in pixels


def face_crops(images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], Boxes]:
    """Faces cut out of uint8 images (n, 96, 96) and enlarged to that shape, and their boxes.

    An image in which not exactly one face is found stays whole. Raises UserError if this OpenCV has no
    readable cascade.
    """
    boxes = find_faces(images)
    return crop_faces(images, boxes), boxes


def find_faces(images: npt.NDArray[np.uint8]) -> Boxes:
    """The box of the face in every image (n, 96, 96); the whole image unless exactly one face is found.

    Raises UserError if this OpenCV has no readable cascade.
    """
    cascade = load_cascade()
    boxes = np.tile(np.array(WHOLE_IMAGE, np.int64), (len(images), 1))
    for box, image in zip(boxes, images, strict=True):
        found = cascade.detectMultiScale(image, scaleFactor=SCALE_FACTOR, minNeighbors=MIN_NEIGHBOURS)
        if len(found) == 1:
            left, top, width, height = found[0]
            box[:] = left, top, min(width, height)  # rounding may part them by a pixel
    return boxes


def crop_faces(images: npt.NDArray[np.uint8], boxes: Boxes) -> npt.NDArray[np.uint8]:
    """The boxes of images (n, 96, 96), enlarged to shape (n, 96, 96); whole images stay as they are."""
    crops = np.empty_like(images)
    for crop, image, (left, top, side) in zip(crops, images, boxes, strict=True):
        face = image[top : top + side, left : left + side]
        crop[:] = cv2.resize(face, crop.shape, interpolation=cv2.INTER_LINEAR)
    return crops


def from_crops(points_px: npt.NDArray[np.floating], boxes: Boxes) -> npt.NDArray[np.float64]:
    """Points (n, points, 2) in pixels of the crops as pixels of the images; NaN stays NaN."""
    corners_px, sides_px = boxes[:, np.newaxis, :2], boxes[:, np.newaxis, 2:]
    # Half a pixel, because frames begin at the edge of their first pixel, not at its centre.
    return corners_px + (points_px + 0.5) * (sides_px / IMAGE_SIZE_PX) - 0.5


def load_cascade() -> "cv2.CascadeClassifier":  # quoted, because OpenCV 5 has no such class
    """OpenCV's finder of frontal faces; raises UserError if this OpenCV has no readable cascade."""
    try:
        file = Path(cv2.data.haarcascades) / CASCADE  # type: ignore[attr-defined]
        if file.is_file() and not (cascade := cv2.CascadeClassifier(str(file))).empty():
            return cascade
    except (AttributeError, SystemError):  # OpenCV 5; a damaged file
        pass
    raise UserError(
        f"Expected OpenCV with its {CASCADE}, received OpenCV {cv2.__version__} without a readable one; "
        "run pip install --force-reinstall 'opencv-python-headless>=4.13,<5' or do without it: "
        "set prediction.detector=none, or give fkd predict a --yunet model."
    )
