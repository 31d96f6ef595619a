"""Batches of augmented faces as a pure function of (seed, epoch, index).

The six geometric transforms become one sampling of the image. An output pixel q shows the source picture at
`H^-1(q + u(q))`: u is the elastic shift, H the homography of flip, rotation, scaling, shift and perspective,
in that order. A keypoint goes the other way: `H(p)` in closed form, then `q + u(q) = H(p)` by Newton's
method.

Before that, contrast and brightness change the grey levels; after it come blur, noise, cut-out and what an
experiment names of albumentations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import CENTRE_PX, HALF_WIDTH_PX, IMAGE_SIZE_PX, MAX_GREY, Schema, to_unit
from fkd.experiment.augmentation import Augmentation, Blur, CutOut, Elastic, Noise
from fkd.experiment.pixel_changes import change_pixels

# Noise nodes further outside the frame, in standard deviations of the smoothing, weigh nothing inside it.
NOISE_REACH = 3
# In the steepest field that Elastic allows (3 px, 15 px) the worst of a million points is then 0.02 px away.
NEWTON_STEPS = 3

PIXELS = np.arange(IMAGE_SIZE_PX, dtype=np.float32)
CORNERS_FROM_CENTRE_PX = HALF_WIDTH_PX * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float32)
FROM_CENTRE = np.array([[1, 0, CENTRE_PX], [0, 1, CENTRE_PX], [0, 0, 1]])
TO_CENTRE = np.array([[1, 0, -CENTRE_PX], [0, 1, -CENTRE_PX], [0, 0, 1]])
GREY_LEVELS = np.arange(MAX_GREY + 1) / np.float32(MAX_GREY)  # what a uint8 shows, in [0, 1]

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
        rng = self._generator(epoch, index)
        warp = draw_warp(self.augmentation, len(rows), rng)
        images = _shade(self.images[rows], self.augmentation, rng)
        warp.sample(images)
        _blur(images, self.augmentation.blur, rng)
        _add_noise(images, self.augmentation.noise, rng)
        _cut_out(images, self.augmentation.cut_out, rng)
        change_pixels(images, self.augmentation.albumentations, rng)
        # After a flip every point carries the name of its twin.
        twins = self.schema.twins[self.target_indices]
        sources = np.where(warp.flipped[:, np.newaxis], twins, self.target_indices)
        points_px = warp.points(self.keypoints[rows[:, np.newaxis], sources])
        return images[..., np.newaxis], to_unit(points_px).reshape(len(rows), -1)

    def _generator(self, *key: int) -> np.random.Generator:
        # A spawn key, because plain seeds are padded with zeros: (seed, epoch) would equal (seed, epoch, 0).
        return np.random.default_rng(np.random.SeedSequence(tuple(self.seed), spawn_key=key))


@dataclass(frozen=True, eq=False)
class Warp:
    """Where each face of a batch goes: flip, rotation, scaling, shift, perspective, elastic in one sampling.

    flipped, bent: bool, shape (faces,); whether the homography mirrors and whether there is an elastic shift.
    homographies: shape (faces, 3, 3), in pixels.
    noise_px: float32, shape (faces, 2, nodes, nodes); the shifts along x and y are the noise smoothed with
        the weights of its nodes; 0 where a face is not bent.
    """

    flipped: npt.NDArray[np.bool_]
    homographies: Array
    bent: npt.NDArray[np.bool_]
    noise_px: npt.NDArray[np.float32]
    smoothness_px: float

    def sample(self, images: npt.NDArray[np.float32]) -> None:
        """Warp images of shape (faces, 96, 96) in place, in one sampling each; none where nothing happens."""
        inverses = np.linalg.inv(self.homographies)
        moved = self.bent | np.any(inverses != np.eye(3), axis=(1, 2))
        perspective = np.any(inverses[:, 2, :2], axis=1)
        basis, coefficients = self._source_maps(inverses)
        # One buffer for all: fresh memory for every image may cost more than what fills it.
        maps_px = np.empty((3, IMAGE_SIZE_PX, IMAGE_SIZE_PX), np.float32)
        for i in np.flatnonzero(moved):
            used = basis if self.bent[i] else basis[:, :2]
            maps = maps_px if perspective[i] else maps_px[:2]  # the third would be 1
            terms = coefficients[i, : len(maps), : used.shape[1], : used.shape[1]]
            np.matmul(used @ terms, used.T, out=maps)
            if perspective[i]:
                maps[:2] /= maps[2]
            # Edges are repeated: reflected, they would show a second eye or mouth that no label speaks of.
            images[i] = cv2.remap(
                images[i], maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )

    def points(self, points_px: Array) -> npt.NDArray[np.float32]:
        """Points of shape (faces, points, 2) where `sample` shows what they mark."""
        homogeneous = np.einsum("fij,fpj->fpi", self.homographies[:, :, :2], points_px)
        homogeneous += self.homographies[:, np.newaxis, :, 2]
        moved_px = (homogeneous[..., :2] / homogeneous[..., 2:]).astype(np.float32)
        if self.bent.any():
            moved_px[self.bent] = self._undo_shift(moved_px[self.bent])
        return moved_px

    def _source_maps(self, inverses: Array) -> tuple[Array, Array]:
        """A basis and coefficients whose basis @ coefficients @ basis.T are the homogeneous source positions.

        The shift is a sum of products of a weight of y and a weight of x. With 1 and the coordinate beside
        the weights, H^-1 (q + u(q)) is such a sum as well. Shapes: (96, terms), (faces, 3, terms, terms).
        """
        faces, _, nodes, _ = self.noise_px.shape
        weights, _ = node_weights(PIXELS, self.smoothness_px)
        basis = np.column_stack([np.ones_like(PIXELS), PIXELS, weights])
        coefficients = np.zeros((faces, 3, 2 + nodes, 2 + nodes), np.float32)
        coefficients[:, :, 0, 1] = inverses[:, :, 0]  # x
        coefficients[:, :, 1, 0] = inverses[:, :, 1]  # y
        coefficients[:, :, 0, 0] = inverses[:, :, 2]
        mixed = inverses[:, :, :2].astype(np.float32) @ self.noise_px.reshape(faces, 2, -1)
        coefficients[:, :, 2:, 2:] = mixed.reshape(faces, 3, nodes, nodes)
        return basis, coefficients

    def _undo_shift(self, points_px: Array) -> Array:
        """Solve q + shift(q) = points for q, for points of the bent faces."""
        noise_px = self.noise_px[self.bent]
        x, y = points_px[..., 0], points_px[..., 1]
        for _ in range(NEWTON_STEPS):
            weights_x, slopes_x = node_weights(x, self.smoothness_px)
            weights_y, slopes_y = node_weights(y, self.smoothness_px)
            rows = weights_y[:, np.newaxis] @ noise_px
            u, v = np.einsum("fapn,fpn->afp", rows, weights_x)
            u_x, v_x = np.einsum("fapn,fpn->afp", rows, slopes_x)
            u_y, v_y = np.einsum("fapn,fpn->afp", slopes_y[:, np.newaxis] @ noise_px, weights_x)
            error_x, error_y = x + u - points_px[..., 0], y + v - points_px[..., 1]
            determinant = (1 + u_x) * (1 + v_y) - u_y * v_x
            x = x - ((1 + v_y) * error_x - u_y * error_y) / determinant
            y = y - ((1 + u_x) * error_y - v_x * error_x) / determinant
        return np.stack([x, y], axis=-1)


def draw_warp(augmentation: Augmentation, faces: int, rng: np.random.Generator) -> Warp:
    """Draw a geometry for each face; every transform happens with its own probability."""
    rotation, scaling, shift = augmentation.rotation, augmentation.scaling, augmentation.shift
    perspective = augmentation.perspective
    flipped = _happens(rng, augmentation.flip.probability, faces)
    radians = _draw(rng, rotation.probability, np.radians(rotation.max_degrees), faces)
    factors = 1 + _draw(rng, scaling.probability, scaling.limit, faces)
    shifts_px = _draw(rng, shift.probability, shift.max_px, faces, 2)
    corner_shifts_px = _draw(rng, perspective.probability, perspective.max_shift * IMAGE_SIZE_PX, faces, 4, 2)
    bent = _happens(rng, augmentation.elastic.probability, faces)
    return Warp(
        flipped,
        _homographies(flipped, radians, factors, shifts_px, corner_shifts_px),
        bent,
        _noise_px(rng, augmentation.elastic, bent),
        augmentation.elastic.smoothness_px,
    )


def _happens(rng: np.random.Generator, probability: float, faces: int) -> npt.NDArray[np.bool_]:
    # Probability 0 draws nothing: a new kind of transform leaves old experiments their batches.
    return rng.random(faces) < probability if probability > 0 else np.zeros(faces, bool)


def _draw(rng: np.random.Generator, probability: float, limit: float, faces: int, *shape: int) -> Array:
    """Numbers from [-limit, limit] of a shape for each face where a transform happens, 0 elsewhere."""
    happens = _happens(rng, probability, faces)
    numbers = np.zeros((faces, *shape))
    numbers[happens] = rng.uniform(-limit, limit, (np.count_nonzero(happens), *shape))
    return numbers


def _homographies(
    flipped: npt.NDArray[np.bool_], radians: Array, factors: Array, shifts_px: Array, corner_shifts_px: Array
) -> Array:
    """Flip, then rotation and scaling about the centre, shift, perspective, shape (faces, 3, 3)."""
    cosines, sines = factors * np.cos(radians), factors * np.sin(radians)
    matrices = np.tile(np.eye(3), (len(flipped), 1, 1))
    matrices[:, 0, :2] = np.column_stack([cosines, sines])
    matrices[:, 1, :2] = np.column_stack([-sines, cosines])
    matrices[flipped, :, 0] *= -1
    matrices[:, :2, 2] = shifts_px
    for i in np.flatnonzero(corner_shifts_px.any(axis=(1, 2))):
        corners_px = (CORNERS_FROM_CENTRE_PX + corner_shifts_px[i]).astype(np.float32)
        matrices[i] = cv2.getPerspectiveTransform(CORNERS_FROM_CENTRE_PX, corners_px) @ matrices[i]
    return FROM_CENTRE @ matrices @ TO_CENTRE


def _noise_px(
    rng: np.random.Generator, elastic: Elastic, bent: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    nodes = node_weights(PIXELS, elastic.smoothness_px)[0].shape[1]
    noise_px = np.zeros((len(bent), 2, nodes, nodes), np.float32)
    noise_px[bent] = rng.standard_normal((np.count_nonzero(bent), 2, nodes, nodes), np.float32)
    noise_px *= elastic.amplitude_px
    return noise_px


def node_weights(at_px: Array, smoothness_px: float) -> tuple[Array, Array]:
    """Gaussian weights of noise nodes at positions, shape (..., nodes), and their slopes per pixel.

    White noise of unit variance, smoothed with them along y and x, is a field of unit variance (Simard et al.
    2003), for within the frame their squares add up to 1: the nodes stand one standard deviation apart, which
    brings the sum within 2 exp(-pi^2) = 1e-4 of its integral (Poisson summation). Fewer nodes give the field
    that one per pixel would.
    """
    reach_px = NOISE_REACH * smoothness_px
    nodes_px = np.arange(-reach_px, IMAGE_SIZE_PX + reach_px, smoothness_px, dtype=np.float32)
    distance = (at_px[..., np.newaxis] - nodes_px) / smoothness_px
    weights = np.exp(-(distance**2) / 2) / np.pi**0.25
    return weights, -distance * weights / smoothness_px


def _shade(
    pictures: npt.NDArray[np.uint8], augmentation: Augmentation, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Pictures in [0, 1], their contrast about their mean and then their brightness changed."""
    contrast, brightness = augmentation.contrast, augmentation.brightness
    stretches = _draw(rng, contrast.probability, contrast.limit, len(pictures), 1)
    gains = _draw(rng, brightness.probability, brightness.limit, len(pictures), 1)
    means = np.array([cv2.mean(picture)[:1] for picture in pictures]) / MAX_GREY
    # What becomes of a pixel depends on its grey level alone: one table per face.
    levels = np.clip(GREY_LEVELS + stretches * (GREY_LEVELS - means), 0, 1)
    levels = np.clip((1 + gains) * levels, 0, 1).astype(np.float32)
    images = np.empty(pictures.shape, np.float32)
    for picture, table, image in zip(pictures, levels, images, strict=True):
        cv2.LUT(picture, table, image)
    return images


def _blur(images: npt.NDArray[np.float32], blur: Blur, rng: np.random.Generator) -> None:
    """Blur images in [0, 1] in place."""
    sigmas_px = np.abs(_draw(rng, blur.probability, blur.max_sigma_px, len(images)))
    for i in np.flatnonzero(sigmas_px):
        images[i] = cv2.GaussianBlur(images[i], (0, 0), sigmas_px[i])


def _add_noise(images: npt.NDArray[np.float32], noise: Noise, rng: np.random.Generator) -> None:
    """Add noise to images in [0, 1] in place."""
    deviations = np.abs(_draw(rng, noise.probability, noise.limit, len(images)))
    for i in np.flatnonzero(deviations):
        images[i] += np.float32(deviations[i]) * rng.standard_normal(images[i].shape, np.float32)
        np.clip(images[i], 0, 1, out=images[i])


def _cut_out(images: npt.NDArray[np.float32], cut_out: CutOut, rng: np.random.Generator) -> None:
    """Paint a rectangle of each image in place; its centre is anywhere in the frame."""
    sides_px = np.abs(_draw(rng, cut_out.probability, cut_out.max_px, len(images), 2))
    for i in np.flatnonzero(sides_px.all(axis=1)):
        centre_px = rng.uniform(0, IMAGE_SIZE_PX, 2)
        first, last = (np.rint(centre_px + sign * sides_px[i] / 2).astype(int).clip(0) for sign in (-1, 1))
        images[i, first[1] : last[1], first[0] : last[0]] = images[i].mean()
