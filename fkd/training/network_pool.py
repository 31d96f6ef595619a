"""Compiled networks of one specialist: one member after another is trained in each, several in one step."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fkd.core.lean_keras import keras
from fkd.experiment.experiment import Experiment
from fkd.training.augment import Batch
from fkd.training.compiled_step import Layout, Metrics, Step, compiled_outputs, compiled_step
from fkd.training.device import precision_here, visible_gpus
from fkd.training.networks.build import build_model
from fkd.training.networks.codecs import codec_of
from fkd.training.networks.optimizers import build_optimizer
from fkd.training.predict import Validated, validate


class NetworkPool:
    """Networks that are traced once, however many members are trained in them.

    images_per_epoch: training images of the specialist, which the learning rate's schedule counts in.
    layout: how JAX has several networks in one step.
    """

    def __init__(
        self, experiment: Experiment, specialist: str, images_per_epoch: int, layout: Layout = "unrolled"
    ) -> None:
        self._experiment, self._images_per_epoch = experiment, images_per_epoch
        self._batch_size = experiment.specialists[specialist].batch_size
        self._points = len(experiment.point_indices(specialist))
        self._free: list[keras.Model] = []
        self._optimizer_at_start: list[npt.NDArray[Any]] = []
        self._layout: Layout = layout
        self._steps: dict[tuple[int, ...], Step] = {}  # by the networks that a step trains
        self._last_step: Step | None = None
        self._codec = codec_of(experiment.network)
        self._judged: list[keras.Model] = []
        self._outputs: dict[int, Callable[[Any], Sequence[Any]]] = {}  # by how many are judged

    def take(self, seed: Sequence[int]) -> keras.Model:
        """A compiled network with the weights that the seed gives and an optimizer at its first step."""
        self.settle()
        model = self._free.pop() if self._free else self._compile()
        fresh = build_model(self._experiment.network, self._points, seed)
        _assign(model.variables, fresh.variables)
        _assign(model.optimizer.variables, self._optimizer_at_start)
        # Predictions are always made in float32, as they are when the training is long over.
        self._judged = self._judged or [fresh]
        return model

    def give_back(self, model: keras.Model) -> None:
        """Leave a network to the next member."""
        self._free.append(model)

    def train(self, models: Sequence[keras.Model], batches: Sequence[Batch]) -> list[Metrics]:
        """Train every network on its own batch; the mean loss and squared error of each batch."""
        return self._step(models)(batches)

    def train_several(
        self, models: Sequence[keras.Model], batches: Sequence[Sequence[Batch]]
    ) -> list[list[Metrics]]:
        """Train every network on its own batches, as many full ones for each, in one call on JAX."""
        return self._step(models).several(batches)

    def judge(
        self, models: Sequence[keras.Model], images: npt.NDArray[np.uint8], truth_px: npt.NDArray[np.float32]
    ) -> list[Validated]:
        """What every network, or its running average, predicts, and the loss of that; all at once.

        truth_px: shape (n, points, 2).
        """
        judged = [self.evaluated(model, place) for place, model in enumerate(models)]
        if len(judged) not in self._outputs:
            self._outputs[len(judged)] = compiled_outputs(judged)
        loss = self._codec.loss(self._experiment.training)
        return validate(self._outputs[len(judged)], self._codec, loss, images, truth_px)

    def settle(self) -> None:
        """Bring the variables of all networks up to date; they are read after that."""
        if self._last_step:
            self._last_step.settle()

    def evaluated(self, model: keras.Model, place: int = 0) -> keras.Model:
        """A float32 network with the weights to judge a trained one by: its own or their running average.

        There is one for each place of the whole pool: the next call changes it.
        """
        while len(self._judged) <= place:
            self._judged.append(build_model(self._experiment.network, self._points, (0,)))
        judged = self._judged[place]
        self.settle()
        _assign(judged.variables, model.variables)
        model.optimizer.finalize_variable_values(judged.trainable_variables)
        _assign(judged.variables, judged.variables)
        return judged

    def _step(self, models: Sequence[keras.Model]) -> Step:
        """The compiled step of these networks; the variables of all others are up to date."""
        key = tuple(id(model) for model in models)
        if key not in self._steps:
            self._steps[key] = compiled_step(
                models, self._codec.squared_error, 2 * self._points, self._layout
            )
        if self._last_step is not self._steps[key]:
            self.settle()
            self._last_step = self._steps[key]
        return self._last_step

    def _compile(self) -> keras.Model:
        network, training = self._experiment.network, self._experiment.training
        model = build_model(network, self._points, (0,), precision_here(training.precision))
        model.compile(
            build_optimizer(training, self._images_per_epoch, self._batch_size),
            loss=self._codec.loss(training),
            metrics=[self._codec.squared_error],
            # XLA halves the speed of small convolutions on the CPU and pays on a GPU.
            jit_compile="auto" if visible_gpus() else False,
        )
        model.optimizer.build(model.trainable_variables)
        self._optimizer_at_start = [_copy(variable) for variable in model.optimizer.variables]
        return model


def _assign(variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
    """Give variables values of their own: JAX would let two share memory that the next step overwrites."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(_copy(value))


def _copy(value: Any) -> npt.NDArray[Any]:
    return np.array(keras.ops.convert_to_numpy(value))
