"""Photos drawn with the points of their faces."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.drawing import BLACK_BGR, Canvas, draw_circles, draw_dots
from fkd.data.photos import Photo

_JPEG_QUALITY = 92
_YELLOW_BGR, _RED_BGR = (60, 220, 250), (60, 60, 230)
# A picture is enlarged by a whole number until its smallest face is this wide, or the picture this long.
_LEAST_FACE_PX, _LONGEST_ENLARGED_PX = 160, 2000


def draw_points(
    photo: Photo,
    squares: npt.NDArray[np.integer],
    points_px: Sequence[npt.NDArray[np.floating]],
    doubtful: Sequence[bool],
    enlarge: bool = True,
) -> npt.NDArray[np.uint8]:
    """The photo with every face's square, points and radii, as RGB.

    Several faces are numbered, small ones may be enlarged; the square of a doubtful one is red.
    squares: left, top, side in pixels, shape (faces, 3). points_px: of every face, x, y and radius, shape
    (points, 3); NaN is not drawn.
    """
    height, width = photo.grey.shape
    scale = _enlargement(squares[:, 2], max(height, width)) if enlarge else 1
    size = (width * scale, height * scale)
    picture = cv2.resize(photo.rgb[..., ::-1], size, interpolation=cv2.INTER_CUBIC)
    line_px = max(2, round(max(size) / 400))
    for i, (left, top, side) in enumerate((squares * scale).tolist(), start=1):
        right, bottom = left + side - 1, top + side - 1
        colour_inside = _RED_BGR if doubtful[i - 1] else _YELLOW_BGR
        for thickness, colour in ((line_px + 2, BLACK_BGR), (line_px, colour_inside)):
            cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness)
        if len(squares) > 1:
            _write_number(picture, str(i), (max(left, 0), max(top, 0)), side, line_px)
    for side, points in zip(squares[:, 2] * scale, points_px, strict=True):
        draw_circles(picture, points, scale)
        draw_dots(picture, points[:, :2], scale, radius_px=max(2.0, side / 70), rim=True)
    return np.ascontiguousarray(picture[..., ::-1])


def encode_picture(rgb: npt.NDArray[np.uint8], suffix: str) -> bytes:
    """An RGB picture as the bytes of a file: `.jpg` or `.png`."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix == ".jpg" else []
    return cv2.imencode(suffix, np.ascontiguousarray(rgb[..., ::-1]), options)[1].tobytes()


def _enlargement(sides_px: npt.NDArray[np.integer], longest_px: int) -> int:
    wanted = -(-_LEAST_FACE_PX // int(sides_px.min())) if len(sides_px) else 1
    return max(1, min(wanted, _LONGEST_ENLARGED_PX // longest_px))


def _write_number(picture: Canvas, number: str, corner: Sequence[int], side: int, line_px: int) -> None:
    """A face's number inside the top left corner of its square, an eighth of the square high."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = cv2.getFontScaleFromHeight(font, max(10, side // 8), line_px)
    (_, height), _ = cv2.getTextSize(number, font, scale, line_px)
    foot = corner[0] + 3 * line_px, corner[1] + height + 4 * line_px
    for thickness, colour in ((line_px + 4, BLACK_BGR), (line_px + 1, _YELLOW_BGR)):
        cv2.putText(picture, number, foot, font, scale, colour, thickness, cv2.LINE_AA)
