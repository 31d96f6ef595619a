"""Photos drawn with the points of their faces."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fkd.data.photos import Photo

_JPEG_QUALITY = 92
# cv2 draws at sub-pixel places given as fixed-point numbers with this many fractional bits.
_FRACTION_BITS = 4
_GREEN_BGR, _YELLOW_BGR, _BLACK_BGR = (60, 230, 60), (60, 220, 250), (0, 0, 0)
# A picture is enlarged by a whole number until its smallest face is so wide, or the picture so long.
_LEAST_FACE_PX, _LONGEST_ENLARGED_PX = 160, 2000

Canvas = npt.NDArray[Any]  # as OpenCV's stubs promise no type


def draw_points(
    photo: Photo, squares: npt.NDArray[np.integer], points_px: Sequence[npt.NDArray[np.floating]]
) -> npt.NDArray[np.uint8]:
    """The photo with every face's square and points, as RGB; several faces are numbered, small ones enlarged.

    squares: left, top, side in pixels, shape (faces, 3). points_px: of every face, shape (points, 2); NaN is
    not drawn.
    """
    height, width = photo.grey.shape
    scale = _enlargement(squares[:, 2], max(height, width))
    size = (width * scale, height * scale)
    picture = cv2.resize(photo.rgb[..., ::-1], size, interpolation=cv2.INTER_CUBIC)
    line_px = max(2, round(max(size) / 400))
    for i, (left, top, side) in enumerate((squares * scale).tolist(), start=1):
        right, bottom = left + side - 1, top + side - 1
        for thickness, colour in ((line_px + 2, _BLACK_BGR), (line_px, _YELLOW_BGR)):
            cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness)
        if len(squares) > 1:
            _write_number(picture, str(i), (max(left, 0), max(top, 0)), side, line_px)
    for side, points in zip(squares[:, 2] * scale, points_px, strict=True):
        _draw_dots(picture, (points + 0.5) * scale - 0.5, radius_px=max(2.0, side / 70))
    return np.ascontiguousarray(picture[..., ::-1])


def encode_picture(rgb: npt.NDArray[np.uint8], suffix: str) -> bytes:
    """An RGB picture as the bytes of a file: `.jpg` or `.png`."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix == ".jpg" else []
    return cv2.imencode(suffix, np.ascontiguousarray(rgb[..., ::-1]), options)[1].tobytes()


def _enlargement(sides_px: npt.NDArray[np.integer], longest_px: int) -> int:
    wanted = -(-_LEAST_FACE_PX // int(sides_px.min())) if len(sides_px) else 1
    return max(1, min(wanted, _LONGEST_ENLARGED_PX // longest_px))


def _draw_dots(picture: Canvas, centres_px: npt.NDArray[np.floating], radius_px: float) -> None:
    """Green dots with a dark rim, which show on dark and on light skin."""
    unit = 2**_FRACTION_BITS
    for x, y in np.rint(centres_px[~np.isnan(centres_px).any(axis=1)] * unit).astype(int).tolist():
        for radius, colour in ((radius_px * 1.4, _BLACK_BGR), (radius_px, _GREEN_BGR)):
            cv2.circle(picture, (x, y), round(radius * unit), colour, -1, cv2.LINE_AA, _FRACTION_BITS)


def _write_number(picture: Canvas, number: str, corner: Sequence[int], side: int, line_px: int) -> None:
    """A face's number inside the top left corner of its square, an eighth of the square high."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = cv2.getFontScaleFromHeight(font, max(10, side // 8), line_px)
    (_, height), _ = cv2.getTextSize(number, font, scale, line_px)
    foot = corner[0] + 3 * line_px, corner[1] + height + 4 * line_px
    for thickness, colour in ((line_px + 4, _BLACK_BGR), (line_px + 1, _YELLOW_BGR)):
        cv2.putText(picture, number, foot, font, scale, colour, thickness, cv2.LINE_AA)
