"""Batches of augmented faces as a pure function of (seed, epoch, index).

The five geometric transforms become one sampling of the image. An output pixel q shows the source picture at
`H^-1(q + u(q))`: u is the elastic shift, H the homography of flip, rotation, scaling and perspective, in that
order. A keypoint goes the other way: `H(p)` in closed form, then `q = H(p) - u(q)` by fixed-point iteration.
"""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# On import albumentations asks PyPI for a newer release unless told not to: slow, and a warning when offline.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import cv2
import numpy as np
import numpy.typing as npt

from fkd.keypoints import CENTRE_PX, HALF_WIDTH_PX, IMAGE_SIZE_PX, MAX_GREY, Schema, to_unit
from fkd.settings.augmentation import Augmentation, Contrast

# Noise nodes further outside the frame, in standard deviations of the smoothing, weigh nothing inside it.
NOISE_REACH = 3
# At the steepest field that Elastic allows (3 px, 15 px), the worst of 60,000 points is then within 0.1 px.
FIXED_POINT_ITERATIONS = 10

PIXELS = np.arange(IMAGE_SIZE_PX, dtype=np.float32)
GRID_PX = np.stack(np.meshgrid(PIXELS, PIXELS), axis=-1)  # (row, column, xy)
CORNERS_PX = CENTRE_PX + HALF_WIDTH_PX * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float32)
MIRROR = np.array([[-1, 0, 2 * CENTRE_PX], [0, 1, 0], [0, 0, 1]])

Array = npt.NDArray[Any]  # of float32 or float64; OpenCV's stubs promise no type
Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]  # images, targets


@dataclass(frozen=True, eq=False)
class Batches:
    """The training batches of one member; safe to call from several threads at once.

    images: uint8, shape (faces, 96, 96); they stay uint8 until their batch is asked for.
    keypoints: float32 pixels, shape (faces, points, 2) in schema order; NaN where a point has no label.
    target_indices: the schema's points that the network learns, in the order of its outputs.
    seed: whole numbers that name this sequence, such as (experiment seed, specialist, member).
    """

    images: npt.NDArray[np.uint8]
    keypoints: npt.NDArray[np.float32]
    augmentation: Augmentation
    schema: Schema
    target_indices: npt.NDArray[np.intp]
    batch_size: int
    seed: Sequence[int]

    def __len__(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-len(self.images) // self.batch_size)

    def __call__(self, epoch: int, index: int) -> Batch:
        """Images in [0, 1], shape (batch, 96, 96, 1), and targets in [-1, 1], shape (batch, 2 * targets).

        A target row holds x0, y0, x1, y1, ...; NaN where a point has no label. Points that leave the frame
        keep their coordinates, beyond -1 or 1. Raises IndexError for an index outside the epoch.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"expected a batch index from 0 to {len(self) - 1}, received {index}")
        order = self._generator(epoch).permutation(len(self.images))
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        images = np.divide(self.images[rows], MAX_GREY, dtype=np.float32)
        points = _tag_labelled(self.keypoints[rows])
        augment = _compose(self.augmentation, self.schema, self._generator(epoch, index))
        for i in range(len(rows)):
            augmented = augment(image=images[i], keypoints=points[i])
            images[i], points[i] = augmented["image"], augmented["keypoints"]
        targets = to_unit(_untag(points)[:, self.target_indices])
        return images[..., np.newaxis], targets.reshape(len(rows), -1)

    def _generator(self, *key: int) -> np.random.Generator:
        # A spawn key, because plain seeds are padded with zeros: (seed, epoch) would equal (seed, epoch, 0).
        return np.random.default_rng(np.random.SeedSequence(tuple(self.seed), spawn_key=key))


def _tag_labelled(keypoints_px: Array) -> Array:
    """Points as (x, y, labelled), because albumentations cannot be handed NaN; it carries the tag along."""
    labelled = ~np.isnan(keypoints_px).any(axis=-1, keepdims=True)
    return np.concatenate([np.where(labelled, keypoints_px, np.float32(CENTRE_PX)), labelled], axis=-1)


def _untag(points: Array) -> Array:
    return np.where(points[..., 2:] > 0, points[..., :2], np.nan)


def _compose(
    augmentation: Augmentation, schema: Schema, generator: np.random.Generator
) -> albumentations.Compose:
    """The transforms of one batch; they hold state, so every call has its own and threads share none."""
    brightness, blur = augmentation.brightness, augmentation.blur
    factors = 1 - brightness.limit, 1 + brightness.limit
    transforms = [
        Warp(augmentation, schema.twins),
        ContrastAboutMean(augmentation.contrast),
        albumentations.MultiplicativeNoise(factors, p=brightness.probability),  # one factor an image
        albumentations.GaussianBlur(sigma_limit=(0, blur.max_sigma_px), p=blur.probability),
    ]
    compose = albumentations.Compose(
        [transform for transform in transforms if transform.p > 0],  # even one that is never used takes time
        keypoint_params=albumentations.KeypointParams(format="xy", remove_invisible=False),
        is_check_shapes=False,
    )
    # One stream for all; `set_random_seed` would give every transform the same numbers.
    compose.set_random_state(generator, random.Random(int(generator.integers(2**63))))
    return compose


class ContrastAboutMean(albumentations.ImageOnlyTransform):
    """Stretch grey values in [0, 1] about the image's mean; RandomBrightnessContrast's is about black."""

    def __init__(self, settings: Contrast) -> None:
        super().__init__(p=settings.probability)
        self.limit = settings.limit

    def get_params(self) -> dict[str, Any]:
        """The factor, drawn from [1 - limit, 1 + limit]."""
        return {"factor": self.random_generator.uniform(1 - self.limit, 1 + self.limit)}

    def apply(self, img: Array, factor: float, **params: Any) -> Array:
        """Grey values clipped to [0, 1]."""
        mean = img.mean()
        return np.clip((img - mean) * np.float32(factor) + mean, 0, 1)


class Warp(albumentations.DualTransform):
    """Flip, rotation, scaling, perspective and elastic in one sampling, each with its own probability.

    Keypoints come as (..., 3 or more columns) whose first two are x and y in pixels, all points in schema
    order; after a flip every point carries the name of its twin.
    """

    def __init__(self, augmentation: Augmentation, twins: npt.NDArray[np.intp]) -> None:
        super().__init__(p=1)
        self.twins = twins
        self.max_degrees = augmentation.rotation.max_degrees
        self.scaling_limit = augmentation.scaling.limit
        self.max_shift_px = augmentation.perspective.max_shift * IMAGE_SIZE_PX
        self.amplitude_px = augmentation.elastic.amplitude_px
        self.smoothing = smoothing_matrix(augmentation.elastic.smoothness_px)
        self.probabilities = [
            augmentation.flip.probability,
            augmentation.rotation.probability,
            augmentation.scaling.probability,
            augmentation.perspective.probability,
            augmentation.elastic.probability,
        ]

    def get_params(self) -> dict[str, Any]:
        """Draw one geometry; `homography` and `shift_px` are None where nothing of their kind happens."""
        rng = self.random_generator
        # Probability 0 draws nothing: a new kind of transform leaves old experiments their batches.
        flipped, rotated, scaled, tilted, bent = (p > 0 and rng.random() < p for p in self.probabilities)
        homography = np.eye(3)
        if flipped:
            homography = MIRROR
        if rotated:
            degrees = rng.uniform(-self.max_degrees, self.max_degrees)
            homography = _about_centre(degrees=degrees) @ homography
        if scaled:
            factor = rng.uniform(1 - self.scaling_limit, 1 + self.scaling_limit)
            homography = _about_centre(factor=factor) @ homography
        if tilted:
            homography = _perspective(rng.uniform(-self.max_shift_px, self.max_shift_px, (4, 2))) @ homography
        return {
            "flipped": flipped,
            "homography": homography if flipped or rotated or scaled or tilted else None,
            "shift_px": self.amplitude_px * random_field(self.smoothing, rng) if bent else None,
        }

    def apply(self, img: Array, homography: Array | None, shift_px: Array | None, **params: Any) -> Array:
        """The image, shape (96, 96), sampled once; untouched where nothing happens."""
        if homography is None and shift_px is None:
            return img
        source_px: Array = GRID_PX if shift_px is None else GRID_PX + shift_px
        if homography is not None:
            source_px = cv2.perspectiveTransform(source_px, np.linalg.inv(homography))
        return _sample(img, source_px)

    def apply_to_keypoints(
        self,
        keypoints: Array,
        flipped: bool,
        homography: Array | None,
        shift_px: Array | None,
        **params: Any,
    ) -> Array:
        """The points where `apply` draws what they mark."""
        moved = keypoints[self.twins] if flipped else keypoints.copy()
        points_px: Array = moved[:, np.newaxis, :2].astype(np.float32)
        if homography is not None:
            points_px = cv2.perspectiveTransform(points_px, homography)
        if shift_px is not None:
            points_px = _undo_shift(points_px, shift_px)
        moved[:, :2] = points_px[:, 0]
        return moved


def smoothing_matrix(smoothness_px: float) -> npt.NDArray[np.float32]:
    """Gaussian weights of noise nodes, shape (96, nodes); their squares add up to 1 at every pixel.

    The nodes stand one standard deviation apart: the sum of the squared weights is then within 2 exp(-pi^2) =
    1e-4 of its integral sqrt(pi) (Poisson summation), so fewer nodes give the field that one per pixel would.
    """
    reach_px = NOISE_REACH * smoothness_px
    nodes_px = np.arange(-reach_px, IMAGE_SIZE_PX + reach_px, smoothness_px)
    distance = (PIXELS[:, np.newaxis] - nodes_px) / smoothness_px
    return (np.exp(-(distance**2) / 2) / np.pi**0.25).astype(np.float32)


def random_field(smoothing: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Gaussian-smoothed noise of unit variance at every pixel, shape (96, 96, 2) (Simard et al. 2003)."""
    nodes = smoothing.shape[1]
    noise = rng.standard_normal((2, nodes, nodes), dtype=np.float32)
    return cv2.merge([*(smoothing @ noise @ smoothing.T)])


def _about_centre(degrees: float = 0.0, factor: float = 1.0) -> Array:
    return np.vstack([cv2.getRotationMatrix2D((CENTRE_PX, CENTRE_PX), degrees, factor), [0, 0, 1]])


def _perspective(corner_shifts_px: Array) -> Array:
    return cv2.getPerspectiveTransform(CORNERS_PX, CORNERS_PX + corner_shifts_px.astype(np.float32))


def _undo_shift(points_px: Array, shift_px: Array) -> Array:
    """Solve q + shift(q) = points for q, shape (points, 1, 2)."""
    solution_px = points_px
    for _ in range(FIXED_POINT_ITERATIONS):
        solution_px = points_px - _sample(shift_px, solution_px)
    return solution_px


def _sample(picture: Array, at_px: Array) -> Array:
    """Values of a picture, bilinear, at positions of shape (rows, columns, xy)."""
    # Edges go on unchanged: reflected, they would show a second eye or mouth that no label speaks of.
    return cv2.remap(picture, at_px, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
