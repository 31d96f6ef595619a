"""From settings to a Keras model, ready to train."""

import itertools
from collections.abc import Sequence

import keras
import numpy as np

from fkd.experiment import Network, Optimizer
from fkd.keypoints import IMAGE_SIZE_PX
from fkd.models.cnn import build_cnn


def build_model(network: Network, points: int, seed: Sequence[int]) -> keras.Model:
    """A freshly initialised network; its weights are a function of the settings and the seed alone.

    Input: (batch, 96, 96, 1) grey values in [0, 1]; output: (batch, 2 * points) coordinates in [-1, 1].
    """
    seeds = (int(np.random.SeedSequence([*seed, layer]).generate_state(1)[0]) for layer in itertools.count())
    return build_cnn(network, IMAGE_SIZE_PX, 2 * points, seeds)


def build_optimizer(settings: Optimizer) -> keras.optimizers.Optimizer:
    """The Keras optimiser that the settings name."""
    if settings.name == "rmsprop":
        return keras.optimizers.RMSprop(settings.learning_rate, rho=settings.rho)
    if settings.name == "sgd":
        return keras.optimizers.SGD(settings.learning_rate)
    return keras.optimizers.Adagrad(settings.learning_rate)
