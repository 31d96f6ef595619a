"""From settings to Keras objects: model, loss, optimiser and schedule, ready to train."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from fkd.keypoints import IMAGE_SIZE_PX
from fkd.models.cnn import build_cnn
from fkd.models.heatmap import HeatmapLoss, build_heatmap, read_peaks
from fkd.models.resnet import build_resnet, load_pretrained
from fkd.settings.network import HeatmapNetwork, Network, ResNet
from fkd.settings.training import CosineDecay, ExponentialDecay, ReduceOnPlateau, Training

Tensor = Any  # of the Keras backend, or a NumPy array


def build_model(network: Network, points: int, seed: Sequence[int]) -> keras.Model:
    """A freshly initialised network; its weights are a function of the settings and the seed alone.

    Input: (batch, 96, 96, 1) grey values in [0, 1]; output: (batch, 2 * points) coordinates in [-1, 1], or
    what `read_points` makes such coordinates of. Raises UserError where a package is missing.
    """
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


def build_metric(network: Network) -> keras.metrics.Metric:
    """Mean squared error of the coordinates in [-1, 1], whatever the loss is."""

    def squared_error(truth: Tensor, outputs: Tensor) -> Tensor:
        return keras.losses.mean_squared_error(truth, read_points(network, outputs))

    return keras.metrics.MeanMetricWrapper(squared_error, name="squared_error")


def build_optimizer(training: Training, batches_per_epoch: int) -> keras.optimizers.Optimizer:
    """The Keras optimiser that the settings name, with its schedule where that is a function of the step."""
    settings, schedule = training.optimizer, training.schedule
    rate: Any = settings.learning_rate
    if isinstance(schedule, ExponentialDecay):
        steps = schedule.epochs * batches_per_epoch
        rate = keras.optimizers.schedules.ExponentialDecay(rate, steps, schedule.rate, schedule.staircase)
    elif isinstance(schedule, CosineDecay):
        rate = keras.optimizers.schedules.CosineDecay(rate, schedule.epochs * batches_per_epoch)
    config = {"learning_rate": rate} | ({"rho": settings.rho} if settings.name == "rmsprop" else {})
    return keras.optimizers.get({"class_name": settings.name, "config": config})


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
