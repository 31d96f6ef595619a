"""One compiled step that trains several networks, each on a batch of its own, by the framework under Keras.

They share nothing, so the framework is free to run them at once.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.core.lean_keras import keras
from fkd.training.augment import Batch

Metrics = dict[str, float]
SquaredError = Callable[[Any, Any], Any]


class Step(Protocol):
    """Trains networks on (images, targets)."""

    def __call__(self, batches: Sequence[Batch]) -> list[Metrics]:
        """Train every network on its batch; the mean loss and squared error of each."""

    def settle(self) -> None:
        """Leave the networks' variables as the last step made them; until then they may lag behind."""


def compiled_step(models: Sequence[keras.Model], squared_error: SquaredError, targets: int) -> Step:
    """The step of the backend that Keras has; targets: coordinates of a face."""
    match keras.backend.backend():
        case "tensorflow":
            return _TensorFlowStep(models, squared_error, targets)
        case "jax":
            return _JaxStep(models, squared_error)
        case _:
            return _KerasStep(models)


class _TensorFlowStep:
    """One graph for all.

    Keras' own `train_on_batch` traces a graph for a full batch and another for the last, smaller one, and
    they round differently: which came first after a resume would matter. This one has no batch size.
    """

    def __init__(self, models: Sequence[keras.Model], squared_error: SquaredError, targets: int) -> None:
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

        self._step = step

    def __call__(self, batches: Sequence[Batch]) -> list[Metrics]:
        return _as_floats(self._step(*batches))

    def settle(self) -> None:
        pass


class _JaxStep:
    """One function of all variables, compiled for every combination of batch sizes.

    From one step to the next the variables stay on the device, and each step takes the place of the one
    before it. Handing them to Keras and back would take longer than a step of small networks.
    """

    def __init__(self, models: Sequence[keras.Model], squared_error: SquaredError) -> None:
        import jax

        def train(model: keras.Model, variables: Any, batch: Batch) -> tuple[Any, dict[str, Any]]:
            trained, others, of_optimizer = variables
            images, truth = batch
            gradients_of = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)
            (_, (loss, outputs, others, _)), gradients = gradients_of(
                trained, others, [], images, truth, None, training=True, optimizer_variables=of_optimizer
            )
            trained, of_optimizer = model.optimizer.stateless_apply(of_optimizer, gradients, trained)
            metrics = {"loss": loss, "squared_error": squared_error(truth, outputs)}
            return (trained, others, of_optimizer), metrics

        def step(variables: list[Any], batches: Sequence[Batch]) -> tuple[list[Any], list[dict[str, Any]]]:
            trained = [train(*one) for one in zip(models, variables, batches, strict=True)]
            return [one for one, _ in trained], [metrics for _, metrics in trained]

        self._models, self._step = models, jax.jit(step, donate_argnums=0)
        self._variables: list[Any] | None = None

    def __call__(self, batches: Sequence[Batch]) -> list[Metrics]:
        if self._variables is None:
            self._variables = [
                [[variable.value for variable in some] for some in _variables(model)]
                for model in self._models
            ]
        self._variables, metrics = self._step(self._variables, list(batches))
        return _as_floats(metrics)

    def settle(self) -> None:
        if self._variables is None:
            return
        for model, of_model in zip(self._models, self._variables, strict=True):
            for variables, values in zip(_variables(model), of_model, strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
        self._variables = None


class _KerasStep:
    """Keras' own steps, one network after the other, for other backends."""

    def __init__(self, models: Sequence[keras.Model]) -> None:
        self._models = models

    def __call__(self, batches: Sequence[Batch]) -> list[Metrics]:
        pairs = zip(self._models, batches, strict=True)
        return [model.train_on_batch(*batch, return_dict=True) for model, batch in pairs]

    def settle(self) -> None:
        pass


def _variables(model: keras.Model) -> tuple[list[keras.Variable], ...]:
    return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables


def _as_floats(results: Sequence[dict[str, Any]]) -> list[Metrics]:
    return [{name: float(value) for name, value in metrics.items()} for metrics in results]
