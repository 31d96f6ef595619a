"""Networks from their settings; the one place where the kinds of networks are listed."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.core.lean_keras import keras
from fkd.experiment.network import Network
from fkd.experiment.training import Precision
from fkd.training.networks.cnn import build_cnn
from fkd.training.networks.codecs import codec_of
from fkd.training.networks.heatmap import build_heatmap
from fkd.training.networks.residual import build_residual
from fkd.training.networks.resnet import build_resnet, load_resnet_weights


class _Kind(NamedTuple):
    """A kind of network.

    build: (settings, image size in pixels, channels of the output, seeds) -> model. load_pretrained: puts
    weights that others trained into a model; None where there are none to be had.
    """

    build: Callable[[Any, int, int, Iterator[int]], keras.Model]
    load_pretrained: Callable[[keras.Model, Any], None] | None = None


# By the `kind` of the settings.
_KINDS: Mapping[str, _Kind] = {
    "cnn": _Kind(build_cnn),
    "resnet": _Kind(build_resnet, load_resnet_weights),
    "heatmap": _Kind(build_heatmap),
    "residual": _Kind(build_residual),
}


def build_model(
    network: Network, points: int, seed: Sequence[int], precision: Precision = "float32"
) -> keras.Model:
    """A freshly initialised network; its weights are a function of the settings and the seed alone.

    Input: (batch, 96, 96, 1) grey values in [0, 1]; output: what the network's codec reads as coordinates;
    float32 whatever the precision within is. Raises UserError where a package is missing.
    """
    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    seeds = (int(np.random.SeedSequence([*seed, layer]).generate_state(1)[0]) for layer in itertools.count())
    try:
        return _KINDS[network.kind].build(network, IMAGE_SIZE_PX, codec_of(network).channels(points), seeds)
    finally:
        keras.config.set_dtype_policy(former)


def load_pretrained(model: keras.Model, network: Network) -> None:
    """Put the pretrained weights that the settings name into a model; without any it stays as it is.

    Raises UserError where they cannot be downloaded, are missing, damaged, or of another network.
    """
    if load := _KINDS[network.kind].load_pretrained:
        load(model, network)


def try_network(network: Network) -> None:
    """Raise UserError if a network cannot be built or its pretrained weights cannot be obtained."""
    load_pretrained(build_model(network, points=1, seed=(0,)), network)
