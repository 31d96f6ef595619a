"""Pictures of faces with their points."""

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.drawing import draw_dots

_SCALE = 2
_COLUMNS = 8
_DOT_PX = 2.0


def faces_png(images: npt.NDArray[np.uint8], keypoints_px: npt.NDArray[np.floating]) -> bytes:
    """A sheet of enlarged faces with a dot on every point, as the bytes of a PNG file.

    images: shape (faces, height, width). keypoints_px: shape (faces, points, 2); NaN is not drawn.
    """
    tiles = [_face(image, points) for image, points in zip(images, keypoints_px, strict=True)]
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[start : start + _COLUMNS]) for start in range(0, len(tiles), _COLUMNS)]
    return cv2.imencode(".png", np.vstack(rows))[1].tobytes()


def _face(image: npt.NDArray[np.uint8], points_px: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    large = cv2.resize(image, None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_CUBIC)
    picture = cv2.cvtColor(large, cv2.COLOR_GRAY2BGR)
    draw_dots(picture, points_px, _SCALE, _DOT_PX)
    return picture  # type: ignore[return-value]  # OpenCV's stubs promise no type
