"""Views of a face whose predictions are averaged: turned, scaled and moved a little.

Errors that depend on where the face happens to stand in the picture differ from view to view.
"""

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import CENTRE_PX

_MAX_DEGREES, _SCALING, _MAX_SHIFT_PX = 12.0, 0.12, 4.0

Matrix = npt.NDArray[np.float64]


def view_matrices(count: int) -> list[Matrix]:
    """This many maps from a face's pixels to a view's, shape (2, 3) each; the first is the face as it is.

    The others spread evenly over angles, scales and shifts (Halton 1960); more begin with the same ones.
    """
    draws = np.zeros((count, 4))
    if count > 1:
        from scipy.stats import qmc  # slow to load

        draws[1:] = 2 * qmc.Halton(4, scramble=False).random(count)[1:] - 1
    matrices = []
    for angle, scale, *shift in draws:
        centre = CENTRE_PX, CENTRE_PX
        turned = cv2.getRotationMatrix2D(centre, _MAX_DEGREES * angle, 1 + _SCALING * scale)
        matrices.append(np.asarray(turned, np.float64))
        matrices[-1][:, 2] += np.multiply(_MAX_SHIFT_PX, shift)
    return matrices


def warp_faces(images: npt.NDArray[np.uint8], matrix: Matrix) -> npt.NDArray[np.uint8]:
    """The faces as a view shows them, shape (n, height, width); borders are repeated, as in training."""
    size = images.shape[2], images.shape[1]
    return np.stack(
        [cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE) for image in images]
    )


def unwarp_points(pixels: npt.NDArray[np.floating], matrix: Matrix) -> npt.NDArray[np.float32]:
    """Points in a view, in pixels, as points of the faces themselves, shape (n, points, 2)."""
    inverse = cv2.invertAffineTransform(matrix)
    return (pixels @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32)
