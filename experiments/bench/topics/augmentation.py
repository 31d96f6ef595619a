"""Augmentation on one core: its speed and its keypoints beside albumentations and a published generator."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

# On import albumentations asks PyPI for a newer release unless told not to: slow, and a warning when offline.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.bench.rows import Row, seconds, side_by_side
from experiments.bench.subjects.published_generator import published_generator
from fkd.core.keypoints import IMAGE_SIZE_PX, KAGGLE15, MAX_GREY, to_pixels
from fkd.data.source import load_data
from fkd.experiment.augmentation import Augmentation
from fkd.training.augment import Batches

WHAT = "augmentation on one core, five transforms at p = 0.5"
TRANSFORMS = ("flip", "contrast", "rotation", "elastic", "perspective")
PROBABILITY = 0.5
FIVE = Augmentation.model_validate({name: {"probability": PROBABILITY} for name in TRANSFORMS})
FACES, BATCH_SIZE, REPEATS = 256, 128, 11
EPOCHS = 5  # of ours, while another sees the faces once: a shorter time would be measured badly

DOTS = 4000
DOT_MARGIN_PX = 24  # no transform moves a dot further
DOT_SIGMA_PX, DOT_BACKGROUND, DOT_HEIGHT = 1.2, 60, 120

OWN = ("contrast", "brightness", "blur", "noise", "cut_out")
NAMED = ("RandomGamma", "CLAHE", "ImageCompression", "MotionBlur", "CoarseDropout")

Array = npt.NDArray[Any]
Augment = Callable[[Array, Array], tuple[Array, Sequence[Array]]]  # images, a face's keypoints in pixels each


def measure(data_folder: Path) -> list[Row]:
    """Images/s on faces with all 15 points labelled, and how far points lie from what they mark."""
    images, keypoints = _labelled_faces_on_one_core(data_folder)
    unit_images = images / np.float32(MAX_GREY)
    fkd_px = dot_error_px(fkd_batches)
    rows = []
    for augment, against, target, kinds in (
        # albumentations is given the kind of image that it is faster with.
        (albumentations_pipeline, "the albumentations five-op pipeline", 6.0, (images, unit_images)),
        (published_generator, "a generator as published", 5.0, (unit_images,)),
    ):
        speeds = [_images_per_second(images, keypoints, augment, theirs) for theirs in kinds]
        fkd, other = min(speeds, key=lambda pair: pair[0] / pair[1])
        speed = f"{fkd:,.0f} against {other:,.0f} images/s"
        rows.append(Row(f"{WHAT}: images/s", against, fkd / other, target, speed))
        other_px = dot_error_px(augment)
        error = f"mean error {fkd_px:.3f} px against {other_px:.3f} px over {DOTS:,} dots"
        rows.append(Row(f"{WHAT}: keypoints", against, other_px / fkd_px, 1.0, error))
    return rows


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Images/s of batches with one change of pixels that always happens: fkd's own, and albumentations'."""
    images, keypoints = _labelled_faces_on_one_core(data_folder)
    changes = {name: {name: {"probability": 1}} for name in OWN}
    changes |= {f"albumentations' {name}": {"albumentations": [{name: {"p": 1}}]} for name in NAMED}
    speeds = {}
    for change, settings in ({"none": {}} | changes).items():
        batches = _batches(images, keypoints, Augmentation.model_validate(settings))
        taken_s = [seconds(partial(_epoch, batches)) for _ in range(REPEATS)]
        speeds[change] = f"{len(images) / median(taken_s):,.0f}"
    title = "One change of pixels on one core, batches of 128"
    return {title: pd.DataFrame({"change": list(speeds), "images/s": list(speeds.values())})}


def _epoch(batches: Batches) -> None:
    for index in range(len(batches)):
        batches(0, index)


def _labelled_faces_on_one_core(data_folder: Path) -> tuple[Array, Array]:
    """Images and keypoints of faces with all points; from here on, this process has one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    faces = load_data(str(data_folder), lambda line: None).training
    labelled = np.flatnonzero(np.isfinite(faces.keypoints).all(axis=(1, 2)))[:FACES]
    return faces.images[labelled], faces.keypoints[labelled]


def _images_per_second(
    images: Array, keypoints: Array, augment: Augment, theirs: Array
) -> tuple[float, float]:
    """Ours, from uint8 images to batches ready for a network, and another's, from images as it wants them."""
    batches = _batches(images, keypoints, FIVE)
    fkd_s, other_s = side_by_side(
        lambda: [batches(epoch, index) for epoch in range(EPOCHS) for index in range(len(batches))],
        lambda: augment(theirs, keypoints),
        REPEATS,
    )
    return EPOCHS * len(images) / fkd_s, len(images) / other_s


def dot_error_px(augment: Augment) -> float:
    """Mean distance from a keypoint to the dot that it marks, both after augmentation, over many images."""
    rng = np.random.default_rng(0)
    places_px = rng.uniform(DOT_MARGIN_PX, IMAGE_SIZE_PX - 1 - DOT_MARGIN_PX, (DOTS, 1, 2)).astype(np.float32)
    pixels = np.arange(IMAGE_SIZE_PX)
    x_part, y_part = np.exp(-(((pixels - places_px.transpose(2, 0, 1)) / DOT_SIGMA_PX) ** 2) / 2)
    dots = DOT_BACKGROUND + DOT_HEIGHT * y_part[:, :, np.newaxis] * x_part[:, np.newaxis]
    images, moved_px = augment((dots / MAX_GREY).astype(np.float32), places_px)
    # The centroid of whatever is brighter than the ground; what comes in at the edges may be black.
    weights = np.maximum(images - np.median(images, axis=(1, 2), keepdims=True), 0)
    found_px = np.column_stack([weights.sum(axis=1) @ pixels, weights.sum(axis=2) @ pixels])
    found_px /= weights.sum(axis=(1, 2))[:, np.newaxis]
    told_px = np.stack([points_px[0] for points_px in moved_px])
    return float(np.linalg.norm(told_px - found_px, axis=1).mean())


def fkd_batches(images: Array, keypoints: Array) -> tuple[Array, Sequence[Array]]:
    """An epoch of fkd's batches from images in [0, 1] with one keypoint each."""
    all_points = np.repeat(keypoints, len(KAGGLE15.names), axis=1)  # whatever name the point has after a flip
    batches = _batches((images * MAX_GREY).round().astype(np.uint8), all_points, FIVE)
    parts = [batches(0, index) for index in range(len(batches))]
    changed, targets = (np.concatenate(part) for part in zip(*parts, strict=True))
    return changed[..., 0], list(to_pixels(targets).reshape(len(images), -1, 2))


def _batches(images: Array, keypoints: Array, augmentation: Augmentation) -> Batches:
    return Batches(images, keypoints, augmentation, KAGGLE15, KAGGLE15.indices("all"), BATCH_SIZE, (0,))


def albumentations_pipeline(images: Array, keypoints: Array) -> tuple[Array, Sequence[Array]]:
    """The five transforms as albumentations has them; uint8 images, or others in [0, 1]."""
    pipeline = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=PROBABILITY),
            albumentations.RandomBrightnessContrast(0, 0.2, p=PROBABILITY),
            albumentations.Rotate(10, p=PROBABILITY),
            albumentations.ElasticTransform(alpha=30, sigma=8, p=PROBABILITY),
            albumentations.Perspective((0.02, 0.05), p=PROBABILITY),
        ],
        keypoint_params=albumentations.KeypointParams(format="xy", remove_invisible=False),
        seed=0,
    )
    faces = [pipeline(image=image, keypoints=points) for image, points in zip(images, keypoints, strict=True)]
    # No stack of points: its elastic transform leaves out those that leave the frame.
    return np.stack([face["image"] for face in faces]), [face["keypoints"] for face in faces]
