"""Points drawn on pictures."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

GREEN_BGR, BLACK_BGR = (60, 230, 60), (0, 0, 0)
# cv2 draws at sub-pixel places given as fixed-point numbers with this many fractional bits.
_FRACTION_BITS = 4
_RIM = 1.4

Canvas = npt.NDArray[Any]  # as OpenCV's stubs promise no type


def draw_dots(
    picture: Canvas, points_px: npt.NDArray[np.floating], scale: int, radius_px: float, rim: bool = False
) -> None:
    """Draw a green dot on every point of a picture, with a dark rim that shows on dark and on light skin.

    picture: BGR, uint8, shape (height, width, 3), enlarged `scale` times. points_px: shape (points, 2) in
    pixels of the picture before it was enlarged; NaN is not drawn. radius_px: in the enlarged picture.
    """
    unit = 2**_FRACTION_BITS
    circles = [(radius_px * _RIM, BLACK_BGR), (radius_px, GREEN_BGR)] if rim else [(radius_px, GREEN_BGR)]
    # The centre of pixel 0 is at 0; enlarged, it is in the middle of `scale` pixels.
    centres_px = (points_px[~np.isnan(points_px).any(axis=1)] + 0.5) * scale - 0.5
    for x, y in np.rint(centres_px * unit).astype(int).tolist():
        for radius, colour in circles:
            cv2.circle(picture, (x, y), round(radius * unit), colour, -1, cv2.LINE_AA, _FRACTION_BITS)
