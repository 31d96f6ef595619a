"""Points drawn on pictures."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

GREEN_BGR, BLACK_BGR = (60, 230, 60), (0, 0, 0)
# cv2 draws at sub-pixel places given as fixed-point numbers with this many fractional bits.
_FRACTION_BITS = 4
_UNIT = 2**_FRACTION_BITS
_RIM = 1.4

Canvas = npt.NDArray[Any]  # as OpenCV's stubs promise no type


def draw_dots(
    picture: Canvas, points_px: npt.NDArray[np.floating], scale: int, radius_px: float, rim: bool = False
) -> None:
    """Draw a green dot on every point of a picture, with a dark rim that shows on dark and on light skin.

    picture: BGR, uint8, shape (height, width, 3), enlarged `scale` times. points_px: shape (points, 2) in
    pixels of the picture before it was enlarged; NaN is not drawn. radius_px: in the enlarged picture.
    """
    circles = [(radius_px * _RIM, BLACK_BGR), (radius_px, GREEN_BGR)] if rim else [(radius_px, GREEN_BGR)]
    for centre in _centres(points_px[~np.isnan(points_px).any(axis=1)], scale):
        for radius, colour in circles:
            cv2.circle(picture, centre, round(radius * _UNIT), colour, -1, cv2.LINE_AA, _FRACTION_BITS)


def draw_circles(picture: Canvas, circles_px: npt.NDArray[np.floating], scale: int) -> None:
    """Draw a thin green circle with a dark rim around every point of a picture.

    picture: as for `draw_dots`. circles_px: x, y and radius, shape (points, 3), in pixels of the picture
    before it was enlarged; NaN is not drawn.
    """
    known = circles_px[~np.isnan(circles_px).any(axis=1)]
    for centre, radius_px in zip(_centres(known[:, :2], scale), known[:, 2].tolist(), strict=True):
        for thickness, colour in ((3, BLACK_BGR), (1, GREEN_BGR)):
            radius = round(radius_px * scale * _UNIT)
            cv2.circle(picture, centre, radius, colour, thickness, cv2.LINE_AA, _FRACTION_BITS)


def _centres(points_px: npt.NDArray[np.floating], scale: int) -> list[tuple[int, int]]:
    """Where points are in an enlarged picture, as OpenCV takes them."""
    # The centre of pixel 0 is at 0; enlarged, it is in the middle of `scale` pixels.
    centres_px = (points_px + 0.5) * scale - 0.5
    return [(x, y) for x, y in np.rint(centres_px * _UNIT).astype(int).tolist()]
