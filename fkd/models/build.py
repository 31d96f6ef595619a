"""From settings to Keras objects: model, loss, optimiser and schedule, ready to train."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from fkd.errors import UserError
from fkd.keypoints import IMAGE_SIZE_PX
from fkd.models.cnn import build_cnn
from fkd.models.heatmap import HeatmapLoss, build_heatmap, read_peaks
from fkd.models.resnet import build_resnet, load_pretrained
from fkd.settings.network import HeatmapNetwork, Network, ResNet
from fkd.settings.training import CosineDecay, ExponentialDecay, Precision, ReduceOnPlateau, Training

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
    return read_peaks(outputs, peaks) if isinstance(network, HeatmapNetwork) else outputs


def build_loss(training: Training, network: Network) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss that the settings name: (truth, outputs) -> one value a face, or one for the batch."""
    if isinstance(network, HeatmapNetwork):
        return HeatmapLoss(network.sigma_px)
    if training.loss == "root_mean_squared_error":
        return root_mean_squared_error
    return keras.losses.get(training.loss)


def build_metric(network: Network) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean squared error of coordinates in [-1, 1], whatever the loss is: (truth, outputs) -> (faces,)."""

    def squared_error(truth: Tensor, outputs: Tensor) -> Tensor:
        return keras.losses.mean_squared_error(truth, read_points(network, outputs))

    return squared_error


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
