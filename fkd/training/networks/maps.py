"""One map a point over the picture: what draws it, its loss, and how its peak is read."""

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import HALF_WIDTH_PX
from fkd.core.lean_keras import keras, ops

Tensor = Any  # of the Keras backend, or a NumPy array
Peaks = Literal["soft_argmax", "argmax"]  # how a map's peak is found

# Channels that oneDNN computes together with AVX-512; with AVX2 half as many.
_ONEDNN_BLOCK = 16


def normalised_convolution(
    x: keras.KerasTensor, filters: int, kernel: int, seeds: Iterator[int], strides: int = 1
) -> keras.KerasTensor:
    """A convolution with a He-normal kernel of its own seed, and batch normalisation, which has the bias.

    oneDNN gets the gradient of a strided 1x1 convolution wrong, or writes it over other memory, where it has
    fewer channels than a block (uxlfoundation/oneDNN issue 6035, open; TensorFlow 2.20 and 2.21 have it).
    There the pixels are picked before the convolution, which computes the same.
    """
    if strides > 1 and kernel == 1 and x.shape[-1] < _ONEDNN_BLOCK:
        x, strides = keras.layers.MaxPooling2D(1, strides, padding="same")(x), 1
    x = keras.layers.Conv2D(
        filters,
        kernel,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(next(seeds)),
    )(x)
    return keras.layers.BatchNormalization()(x)


def map_logits(features: keras.KerasTensor, points: int, seed: int) -> keras.KerasTensor:
    """A map a point of square feature maps: float32 logits row by row, shape (batch, pixels, points)."""
    layers, side = keras.layers, features.shape[1]
    maps = layers.Conv2D(points, 1, kernel_initializer=keras.initializers.HeNormal(seed))(features)
    return layers.Reshape((side**2, points), dtype="float32")(maps)


class HeatmapLoss(keras.losses.Loss):
    """Kullback-Leibler divergence of the maps from Gaussians on the true points, mean over points and faces.

    truth: (batch, 2 * points) coordinates in [-1, 1], x0, y0, x1, y1, ..., NaN where there is no label;
    outputs: (batch, pixels, points) logits of square maps. A Gaussian is normalised over the frame, so it is
    finite for a point outside. A point without a label adds nothing.
    """

    def __init__(self, sigma_px: float) -> None:
        super().__init__(name="kl_divergence")
        self._sigma_px = sigma_px

    def call(self, truth: Tensor, outputs: Tensor) -> Tensor:
        """One value a face, shape (batch,)."""
        x, y = _pixel_centres(outputs.shape[1])
        sigma = self._sigma_px / HALF_WIDTH_PX
        truth = ops.expand_dims(ops.cast(truth, "float32"), 1)
        labelled = ~ops.isnan(truth[..., 0::2])
        truth = ops.nan_to_num(truth)
        squared_distance = (x - truth[..., 0::2]) ** 2 + (y - truth[..., 1::2]) ** 2
        log_target = ops.log_softmax(-squared_distance / (2 * sigma**2), axis=1)
        # Not keras.losses.kl_divergence: clipped at 1e-7, a confident miss would have no gradient.
        log_ratio = log_target - ops.log_softmax(outputs, axis=1)
        divergence = ops.sum(ops.exp(log_target) * log_ratio, axis=1, keepdims=True)
        return ops.mean(ops.where(labelled, divergence, 0.0), axis=(1, 2))


def read_peaks(logits: Tensor, peaks: Peaks) -> Tensor:
    """Maps as coordinates in [-1, 1], shape (batch, 2 * points): x0, y0, x1, y1, ...

    logits: (batch, pixels, points) of square maps. `soft_argmax` is the mean of the map's distribution
    (Sun et al. 2018, "Integral Human Pose Regression"), `argmax` the centre of its highest pixel.
    """
    pixels, points = logits.shape[1:]
    x, y = _pixel_centres(pixels)
    if peaks == "soft_argmax":
        probability = ops.softmax(logits, axis=1)
        # Not a matrix product: a GPU may round its factors to TF32, some hundredths of a pixel.
        columns, rows = ops.sum(probability * x, axis=1), ops.sum(probability * y, axis=1)
    else:
        highest = ops.argmax(logits, axis=1)
        columns, rows = ops.take(x[:, 0], highest), ops.take(y[:, 0], highest)
    return ops.reshape(ops.stack([columns, rows], axis=-1), (-1, 2 * points))


def _pixel_centres(pixels: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """x and y of a square map's pixels row by row, shapes (pixels, 1); the map's edges are -1 and 1."""
    side = math.isqrt(pixels)
    centres = ((2 * np.arange(side) + 1) / side - 1).astype(np.float32)
    return np.tile(centres, side)[:, None], np.repeat(centres, side)[:, None]
