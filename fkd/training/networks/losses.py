"""Losses of coordinates in [-1, 1], and how the labels that are missing are left out of them."""

import math
from collections.abc import Callable
from functools import partial

from fkd.core.keypoints import HALF_WIDTH_PX
from fkd.core.lean_keras import keras, ops
from fkd.experiment.training import Training
from fkd.training.networks.maps import HeatmapLoss, Tensor


class CoordinateLoss(keras.losses.Loss):
    """A loss of the coordinates that are read off a network's outputs, to which maps may add their own.

    read: outputs -> (batch, 2 * points) coordinates. divergence: the loss of the maps themselves, which
    `training.map_divergence` weighs; None for networks that draw none.

    A class, because of a plain function's arguments Keras drops the last axis where it is 1, as it is in the
    maps of a single point.
    """

    def __init__(
        self,
        training: Training,
        read: Callable[[Tensor], Tensor],
        divergence: HeatmapLoss | None = None,
    ) -> None:
        super().__init__(name=training.loss)
        self._read, self._of_coordinates = read, _coordinate_loss(training)
        self._map_divergence, self._divergence = training.map_divergence, divergence

    def call(self, truth: Tensor, outputs: Tensor) -> Tensor:
        """One value a face, shape (batch,), or one for the batch; truth is NaN where there is no label."""
        coordinates = self._read(outputs)
        value = self._of_coordinates(_filled(truth, coordinates), coordinates)
        if self._map_divergence and self._divergence:
            value += self._map_divergence * self._divergence.call(truth, outputs)
        return value


def _coordinate_loss(training: Training) -> Callable[[Tensor, Tensor], Tensor]:
    if training.loss == "root_mean_squared_error":
        return root_mean_squared_error
    if training.loss == "huber":
        return partial(keras.losses.huber, delta=training.huber_delta_px / HALF_WIDTH_PX)
    if training.loss == "wing":
        return partial(
            wing,
            width=training.wing_width_px / HALF_WIDTH_PX,
            curvature=training.wing_curvature_px / HALF_WIDTH_PX,
        )
    return keras.losses.get(training.loss)


def labelled_squared_error(truth: Tensor, coordinates: Tensor) -> Tensor:
    """Mean squared error of the labelled coordinates of a batch, one number; truth is NaN at the others."""
    labelled = ops.sum(ops.cast(~ops.isnan(truth), "float32"))
    errors = _filled(truth, coordinates) - coordinates
    return ops.sum(errors**2) / ops.maximum(labelled, 1.0)


def _filled(truth: Tensor, coordinates: Tensor) -> Tensor:
    """The truth, and where there is none what was predicted: no error, and no gradient."""
    return ops.where(ops.isnan(truth), ops.stop_gradient(coordinates), truth)


def root_mean_squared_error(truth: Tensor, outputs: Tensor) -> Tensor:
    """Root of the batch's mean squared error, one number; Keras has it as a metric only."""
    return ops.sqrt(ops.mean(keras.losses.mean_squared_error(truth, outputs)))


def wing(truth: Tensor, outputs: Tensor, width: float, curvature: float) -> Tensor:
    """Wing loss, in which small errors count more (Feng et al. 2018, equation 5), one value a face."""
    errors = ops.abs(truth - outputs)
    beyond = errors - width + width * math.log1p(width / curvature)
    return ops.mean(ops.where(errors < width, width * ops.log1p(errors / curvature), beyond), axis=-1)
