"""Pictures of faces with their points."""

import cv2
import numpy as np
import numpy.typing as npt

_SCALE = 2
_COLUMNS = 8
_GREEN_BGR = (60, 230, 60)
# cv2 draws at sub-pixel places given as fixed-point numbers with this many fractional bits.
_FRACTION_BITS = 4


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
    # The centre of pixel 0 stands at 0; enlarged, it stands in the middle of _SCALE pixels.
    centres = (points_px[~np.isnan(points_px).any(axis=1)] + 0.5) * _SCALE - 0.5
    for x, y in np.rint(centres * 2**_FRACTION_BITS).astype(int).tolist():
        radius = 2 * 2**_FRACTION_BITS
        cv2.circle(picture, (x, y), radius, _GREEN_BGR, -1, cv2.LINE_AA, _FRACTION_BITS)
    return picture  # type: ignore[return-value]  # OpenCV's stubs promise no type
