"""Pictures and points made for `Batches`, and dots whose places are found again."""

from collections.abc import Sequence

import numpy as np

from fkd.core.keypoints import IMAGE_SIZE_PX, KAGGLE15, Schema, to_pixels
from fkd.experiment.augmentation import Augmentation
from fkd.training.augment import PIXELS, Array, Batches

ALL = KAGGLE15.indices("all")
NOSE = KAGGLE15.names.index("nose_tip")

GRID_PX = np.stack(np.meshgrid(PIXELS, PIXELS), axis=-1)  # (row, column, xy)
DOT_SIGMA_PX = 1.2
DOT_BACKGROUND, DOT_HEIGHT = 60, 120


def make_batches(
    images: Array,
    keypoints: Array | None = None,
    augmentation: Augmentation | None = None,
    target_indices: Sequence[int] = ALL,
    batch_size: int | None = None,
    seed: Sequence[int] = (0, 0, 0),
    schema: Schema = KAGGLE15,
) -> Batches:
    if keypoints is None:
        keypoints = np.full((len(images), len(schema.names), 2), np.nan, np.float32)
    targets, size = np.array(target_indices), batch_size or len(images)
    return Batches(images, keypoints, augmentation or Augmentation(), schema, targets, size, seed)


def flat_images(n: int) -> Array:
    """Image i is of grey value i throughout, which no transform changes."""
    return np.full((n, IMAGE_SIZE_PX, IMAGE_SIZE_PX), np.arange(n)[:, None, None], np.uint8)


def points_of(targets: Array) -> Array:
    """Targets as pixels, shape (faces, targets, 2)."""
    return to_pixels(targets).reshape(len(targets), -1, 2)


def one_face(**points: tuple[float, float]) -> Array:
    """Keypoints of one face, NaN where not given."""
    keypoints = np.full((1, len(KAGGLE15.names), 2), np.nan, np.float32)
    for name, xy in points.items():
        keypoints[0, KAGGLE15.names.index(name)] = xy
    return keypoints


def noise_images(n: int) -> Array:
    return np.random.default_rng(7).integers(100, 150, (n, IMAGE_SIZE_PX, IMAGE_SIZE_PX), np.uint8)


def draw_dots(places_px: Array) -> Array:
    """One bright dot an image on a flat ground, shape (dots, 96, 96)."""
    distance_px = np.linalg.norm(GRID_PX - places_px[:, None, None], axis=-1)
    dots = DOT_BACKGROUND + DOT_HEIGHT * np.exp(-((distance_px / DOT_SIGMA_PX) ** 2) / 2)
    return dots.round().astype(np.uint8)


def find_dots(images: Array) -> Array:
    """Centroid of whatever differs from the ground, over the whole image; knows nothing of keypoints."""
    weights = np.abs(images - np.median(images, axis=(1, 2), keepdims=True))
    return np.einsum("iyx,yxc->ic", weights, GRID_PX) / weights.sum(axis=(1, 2))[:, None]


def dot_errors(augmentation: Augmentation, dots: int = 400) -> tuple[Array, Array]:
    """Distances in px from the dots found to the keypoints, and to the places where they were drawn.

    Every image has one dot, its only labelled point. Row order depends on seed and epoch alone, so a second
    `Batches` without augmentation gives the places in the same order.
    """
    rng = np.random.default_rng(dots)
    places_px = rng.uniform(24, 71, (dots, 2)).astype(np.float32)
    keypoints = np.full((dots, len(ALL), 2), np.nan, np.float32)
    keypoints[:, NOSE] = places_px
    batches = make_batches(draw_dots(places_px), keypoints, augmentation)
    images, targets = batches(epoch=0, index=0)
    still = make_batches(batches.images, keypoints)(epoch=0, index=0)[1]
    found_px = find_dots(images[..., 0])
    distances = [np.linalg.norm(points_of(of)[:, NOSE] - found_px, axis=1) for of in (targets, still)]
    return distances[0], distances[1]
