"""From settings to Keras objects: model, loss, optimiser and schedule, ready to train."""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from fkd.core.errors import UserError
from fkd.core.keypoints import HALF_WIDTH_PX, IMAGE_SIZE_PX
from fkd.experiment.network import HeatmapNetwork, MapNetwork, Network, ResidualNetwork, ResNet
from fkd.experiment.training import CosineDecay, ExponentialDecay, Precision, ReduceOnPlateau, Training
from fkd.training.networks.cnn import build_cnn
from fkd.training.networks.heatmap import build_heatmap
from fkd.training.networks.maps import HeatmapLoss, read_peaks
from fkd.training.networks.residual import build_residual
from fkd.training.networks.resnet import build_resnet, load_pretrained

Tensor = Any  # of the Keras backend, or a NumPy array


def build_model(
    network: Network, points: int, seed: Sequence[int], precision: Precision = "float32"
) -> keras.Model:
    """A freshly initialised network; its weights are a function of the settings and the seed alone.

    Input: (batch, 96, 96, 1) grey values in [0, 1]; output: (batch, 2 * points) coordinates in [-1, 1], or
    what `read_points` makes such coordinates of; float32 whatever the precision within is. Raises UserError
    where a package is missing.
    """
    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return _build(network, points, seed)
    finally:
        keras.config.set_dtype_policy(former)


def _build(network: Network, points: int, seed: Sequence[int]) -> keras.Model:
    seeds = (int(np.random.SeedSequence([*seed, layer]).generate_state(1)[0]) for layer in itertools.count())
    if isinstance(network, HeatmapNetwork):
        return build_heatmap(network, IMAGE_SIZE_PX, points, seeds)
    if isinstance(network, ResidualNetwork):
        return build_residual(network, IMAGE_SIZE_PX, points, seeds)
    if isinstance(network, ResNet):
        return build_resnet(network, IMAGE_SIZE_PX, 2 * points, seeds)
    return build_cnn(network, IMAGE_SIZE_PX, 2 * points, seeds)


def try_network(network: Network) -> None:
    """Raise UserError if a network cannot be built or its pretrained weights cannot be had."""
    model = build_model(network, points=1, seed=(0,))
    if isinstance(network, ResNet):
        load_pretrained(model, network)


def read_points(
    network: Network, outputs: Tensor, peaks: Literal["soft_argmax", "argmax"] = "soft_argmax"
) -> Tensor:
    """A network's outputs as coordinates in [-1, 1], shape (batch, 2 * points): x0, y0, x1, y1, ..."""
    return read_peaks(outputs, peaks) if isinstance(network, MapNetwork) else outputs


def build_loss(training: Training, network: Network) -> keras.losses.Loss:
    """The loss that the settings name, of (truth, outputs).

    truth: NaN where a point has no label; such a point adds nothing.
    """
    if training.loss == "kl_divergence" and isinstance(network, MapNetwork):
        return HeatmapLoss(network.sigma_px)
    return CoordinateLoss(training, network)


class CoordinateLoss(keras.losses.Loss):
    """A loss of the coordinates that are read off a network's outputs, to which maps may add their own.

    A class, because of a plain function's arguments Keras drops the last axis where it is 1, as it is in the
    maps of a single point.
    """

    def __init__(self, training: Training, network: Network) -> None:
        super().__init__(name=training.loss)
        self._network, self._of_coordinates = network, _coordinate_loss(training)
        self._map_divergence = training.map_divergence
        if isinstance(network, MapNetwork):
            self._divergence = HeatmapLoss(network.sigma_px)

    def call(self, truth: Tensor, outputs: Tensor) -> Tensor:
        """One value a face, shape (batch,), or one for the batch."""
        coordinates = read_points(self._network, outputs)
        value = self._of_coordinates(_filled(truth, coordinates), coordinates)
        if self._map_divergence:
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


def build_metric(network: Network) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean squared error of the labelled coordinates of a batch, in [-1, 1], whatever the loss is.

    truth, outputs -> one number.
    """

    def squared_error(truth: Tensor, outputs: Tensor) -> Tensor:
        coordinates = read_points(network, outputs)
        labelled = ops.sum(ops.cast(~ops.isnan(truth), "float32"))
        errors = _filled(truth, coordinates) - coordinates
        return ops.sum(errors**2) / ops.maximum(labelled, 1.0)

    return squared_error


def _filled(truth: Tensor, coordinates: Tensor) -> Tensor:
    """The truth, and where there is none what was predicted: no error, and no gradient."""
    return ops.where(ops.isnan(truth), ops.stop_gradient(coordinates), truth)


def build_optimizer(training: Training, images_per_epoch: int, batch_size: int) -> keras.optimizers.Optimizer:
    """The Keras optimiser that the settings name, with its schedule where that is a function of the step."""
    settings, average = training.optimizer, training.weight_averaging
    config: dict[str, Any] = {"learning_rate": _learning_rate(training, images_per_epoch, batch_size)}
    if settings.name == "rmsprop":
        config["rho"] = settings.rho
    elif settings.name == "adamw":
        config["weight_decay"] = settings.weight_decay
    if average:
        config |= {"use_ema": True, "ema_momentum": average}
    return keras.optimizers.get({"class_name": settings.name, "config": config})


def _learning_rate(training: Training, images_per_epoch: int, batch_size: int) -> Any:
    rate, schedule = training.optimizer.learning_rate, training.schedule
    batches = training.batches_in_epoch(0, images_per_epoch, batch_size)
    if isinstance(schedule, ExponentialDecay):
        steps = schedule.epochs * batches
        return keras.optimizers.schedules.ExponentialDecay(rate, steps, schedule.rate, schedule.staircase)
    if isinstance(schedule, CosineDecay):
        epochs = schedule.epochs or training.epochs_at_most(images_per_epoch)
        warmup_steps = schedule.warmup_epochs * batches
        falling_steps = epochs * batches - warmup_steps
        if falling_steps <= 0:
            raise UserError(
                f"training.schedule.warmup_epochs: expected less than the {epochs:g} epochs of the schedule, "
                f"received {schedule.warmup_epochs:g}"
            )
        if not warmup_steps:
            return keras.optimizers.schedules.CosineDecay(rate, falling_steps)
        return keras.optimizers.schedules.CosineDecay(
            0.0, falling_steps, warmup_target=rate, warmup_steps=warmup_steps
        )
    return rate


def build_plateau(
    schedule: ReduceOnPlateau, model: keras.Model, learning_rate: float
) -> keras.callbacks.ReduceLROnPlateau:
    """Keras' callback at the start of a training; told of every epoch again, it stands where it stood."""
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="validation_rmse_px",
        factor=schedule.factor,
        patience=schedule.patience_epochs,
        mode="min",
        min_lr=schedule.min_learning_rate,
    )
    callback.set_model(model)
    model.optimizer.learning_rate = learning_rate
    callback.on_train_begin()
    return callback


def root_mean_squared_error(truth: Tensor, outputs: Tensor) -> Tensor:
    """Root of the batch's mean squared error, one number; Keras has it as a metric only."""
    return ops.sqrt(ops.mean(keras.losses.mean_squared_error(truth, outputs)))


def wing(truth: Tensor, outputs: Tensor, width: float, curvature: float) -> Tensor:
    """Wing loss, in which small errors count more (Feng et al. 2018, equation 5), one value a face."""
    errors = ops.abs(truth - outputs)
    beyond = errors - width + width * math.log1p(width / curvature)
    return ops.mean(ops.where(errors < width, width * ops.log1p(errors / curvature), beyond), axis=-1)
