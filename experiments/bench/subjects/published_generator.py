"""A generator as tutorials publish it: image by image, a sampling for every transform."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.transform import rotate

from fkd.core.keypoints import CENTRE_PX, IMAGE_SIZE_PX

PROBABILITY = 0.5
CONTRAST_LIMIT = 0.2
MAX_DEGREES = 10
MAX_CORNER_SHIFT_PX = 0.05 * IMAGE_SIZE_PX
ELASTIC_ALPHA_PX, ELASTIC_SIGMA_PX = 30, 8

LAST_PX = IMAGE_SIZE_PX - 1
CORNERS_PX = np.array([[0, 0], [LAST_PX, 0], [LAST_PX, LAST_PX], [0, LAST_PX]], np.float32)
ROWS, COLUMNS = np.mgrid[:IMAGE_SIZE_PX, :IMAGE_SIZE_PX]

Array = npt.NDArray[Any]
Face = tuple[Array, Array]  # image in [0, 1], keypoints in pixels


def published_generator(images: Array, keypoints: Array) -> tuple[Array, list[Array]]:
    """Images in [0, 1], shape (faces, 96, 96), and each one's keypoints in pixels, changed anew."""
    rng = np.random.default_rng(0)
    faces = [_changed(rng, face) for face in zip(images, keypoints, strict=True)]
    return np.stack([image for image, _ in faces]), [points_px for _, points_px in faces]


def _changed(rng: np.random.Generator, face: Face) -> Face:
    for transform in (_flip, _contrast, _rotate, _elastic, _perspective):
        if rng.random() < PROBABILITY:
            face = transform(rng, *face)
    return face


def _flip(rng: np.random.Generator, image: Array, points_px: Array) -> Face:
    return image[:, ::-1], np.array([LAST_PX, 0]) + points_px * np.array([-1, 1])


def _contrast(rng: np.random.Generator, image: Array, points_px: Array) -> Face:
    factor, mean = np.float32(rng.uniform(1 - CONTRAST_LIMIT, 1 + CONTRAST_LIMIT)), image.mean()
    return np.clip((image - mean) * factor + mean, 0, 1), points_px


def _rotate(rng: np.random.Generator, image: Array, points_px: Array) -> Face:
    degrees = rng.uniform(-MAX_DEGREES, MAX_DEGREES)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = (points_px - CENTRE_PX) @ np.array([[cosine, -sine], [sine, cosine]]) + CENTRE_PX
    return rotate(image, degrees, mode="edge"), turned


def _elastic(rng: np.random.Generator, image: Array, points_px: Array) -> Face:
    noise = rng.uniform(-1, 1, (2, IMAGE_SIZE_PX, IMAGE_SIZE_PX))
    x_px, y_px = (ELASTIC_ALPHA_PX * gaussian_filter(plane, ELASTIC_SIGMA_PX) for plane in noise)
    column, row = np.clip(points_px.round(), 0, LAST_PX).astype(int).T
    bent = map_coordinates(image, [ROWS + y_px, COLUMNS + x_px], order=1, mode="nearest")
    return bent, points_px - np.column_stack([x_px[row, column], y_px[row, column]])


def _perspective(rng: np.random.Generator, image: Array, points_px: Array) -> Face:
    shifts_px = rng.uniform(-MAX_CORNER_SHIFT_PX, MAX_CORNER_SHIFT_PX, (4, 2))
    homography = cv2.getPerspectiveTransform(CORNERS_PX, (CORNERS_PX + shifts_px).astype(np.float32))
    tilted = cv2.warpPerspective(image, homography, image.shape, borderMode=cv2.BORDER_REPLICATE)
    return tilted, cv2.perspectiveTransform(points_px[np.newaxis], homography)[0]
