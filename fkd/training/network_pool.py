"""Compiled networks of one specialist: one member after another is trained in each, several in one step."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.core.lean_keras import keras
from fkd.experiment.experiment import Experiment
from fkd.training.augment import Batch
from fkd.training.device import precision_here, visible_gpus
from fkd.training.networks.build import build_model
from fkd.training.networks.codecs import codec_of
from fkd.training.networks.optimizers import build_optimizer

Metrics = dict[str, float]
Step = Callable[..., Any]


class NetworkPool:
    """Networks that are traced once, however many members are trained in them.

    images_per_epoch: training images of the specialist, which the learning rate's schedule counts in.
    """

    def __init__(self, experiment: Experiment, specialist: str, images_per_epoch: int) -> None:
        self._experiment, self._images_per_epoch = experiment, images_per_epoch
        self._batch_size = experiment.specialists[specialist].batch_size
        self._points = len(experiment.point_indices(specialist))
        self._free: list[keras.Model] = []
        self._optimizer_at_start: list[npt.NDArray[Any]] = []
        self._steps: dict[tuple[int, ...], Step] = {}  # by the networks that a step trains
        self._codec = codec_of(experiment.network)
        self._evaluated: keras.Model | None = None

    def take(self, seed: Sequence[int]) -> keras.Model:
        """A compiled network with the weights that the seed gives and an optimizer at its first step."""
        model = self._free.pop() if self._free else self._compile()
        fresh = build_model(self._experiment.network, self._points, seed)
        _assign(model.variables, fresh.variables)
        _assign(model.optimizer.variables, self._optimizer_at_start)
        # Predictions are always made in float32, as they are when the training is long over.
        self._evaluated = self._evaluated or fresh
        return model

    def give_back(self, model: keras.Model) -> None:
        """Leave a network to the next member."""
        self._free.append(model)

    def train(self, models: Sequence[keras.Model], batches: Sequence[Batch]) -> list[Metrics]:
        """Train every network on its own batch; the mean loss and squared error of each batch."""
        if keras.backend.backend() != "tensorflow":
            pairs = zip(models, batches, strict=True)
            return [model.train_on_batch(*batch, return_dict=True) for model, batch in pairs]
        key = tuple(id(model) for model in models)
        if key not in self._steps:
            self._steps[key] = _tensorflow_step(models, self._codec.squared_error, 2 * self._points)
        results = self._steps[key](*batches)
        return [{name: float(value) for name, value in metrics.items()} for metrics in results]

    def evaluated(self, model: keras.Model) -> keras.Model:
        """A float32 network with the weights to judge a trained one by: its own or their running average.

        There is one for the whole pool: the next call changes it.
        """
        assert self._evaluated, "a network is taken before it is evaluated"
        _assign(self._evaluated.variables, model.variables)
        model.optimizer.finalize_variable_values(self._evaluated.trainable_variables)
        _assign(self._evaluated.variables, self._evaluated.variables)
        return self._evaluated

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


def _tensorflow_step(
    models: Sequence[keras.Model], squared_error: Callable[[Any, Any], Any], targets: int
) -> Step:
    """One graph that trains all models, each on its own (images, targets).

    They share nothing, so the framework is free to run them at once. Keras' own `train_on_batch` traces a
    graph for a full batch and another for the last, smaller one, and they round differently: which came
    first after a resume would matter. This one has no batch size.
    """
    import tensorflow as tf

    def train(model: keras.Model, batch: Batch) -> dict[str, Any]:
        images, truth = batch
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = model.compute_loss(images, truth, outputs, training=True)
            scaled_loss = model.optimizer.scale_loss(loss)
        weights = model.trainable_variables
        model.optimizer.apply(tape.gradient(scaled_loss, weights), weights)
        return {"loss": loss, "squared_error": squared_error(truth, outputs)}

    image = tf.TensorSpec((None, IMAGE_SIZE_PX, IMAGE_SIZE_PX, 1), tf.float32)
    signature = [(image, tf.TensorSpec((None, targets), tf.float32))] * len(models)

    # Nothing in it is for AutoGraph to rewrite, which would take a fifth of the tracing.
    @tf.function(input_signature=signature, jit_compile=models[0].jit_compile, autograph=False)
    def step(*batches: Batch) -> list[dict[str, Any]]:
        return [train(model, batch) for model, batch in zip(models, batches, strict=True)]

    return step


def _assign(variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
    """Give variables values of their own: JAX would let two share memory that the next step overwrites."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(_copy(value))


def _copy(value: Any) -> npt.NDArray[Any]:
    return np.array(keras.ops.convert_to_numpy(value))
