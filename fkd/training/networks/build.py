"""From settings to Keras objects: model, loss, optimiser and schedule, ready to train."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.experiment.network import HeatmapNetwork, MapNetwork, Network, ResidualNetwork, ResNet
from fkd.experiment.training import Precision
from fkd.training.networks.cnn import build_cnn
from fkd.training.networks.heatmap import build_heatmap
from fkd.training.networks.maps import read_peaks
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
