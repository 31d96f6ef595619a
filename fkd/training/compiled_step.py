"""One compiled step that trains several networks, each on a batch of its own, by the framework under Keras.

They share nothing, so the framework is free to run them at once; so it is where they are judged.
"""

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Literal, Protocol

from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.core.lean_keras import keras
from fkd.training.augment import Batch

Metrics = dict[str, float]
SquaredError = Callable[[Any, Any], Any]
# How JAX has several networks in one step: one after the other, or as one whose weights have one more axis.
# On a CPU the second takes 2.7 times as long (`make gpu-check`).
Layout = Literal["unrolled", "stacked"]


class Step(Protocol):
    """Trains networks on (images, targets)."""

    def __call__(self, batches: Sequence[Batch]) -> list[Metrics]:
        """Train every network on its batch; the mean loss and squared error of each."""

    def several(self, batches: Sequence[Sequence[Batch]]) -> list[list[Metrics]]:
        """Train every network on its batches, one step after the other; as many, of one size, for each."""

    def settle(self) -> None:
        """Leave the networks' variables as the last step made them; until then they may lag behind."""


def compiled_step(
    models: Sequence[keras.Model], squared_error: SquaredError, targets: int, layout: Layout = "unrolled"
) -> Step:
    """The step of the backend that Keras has; targets: coordinates of a face."""
    match keras.backend.backend():
        case "tensorflow":
            return _TensorFlowStep(models, squared_error, targets)
        case "jax":
            return _JaxStep(models, squared_error, layout)
        case _:
            return _KerasStep(models)


def compiled_outputs(models: Sequence[keras.Model]) -> Callable[[Any], Sequence[Any]]:
    """A function of float32 images, shape (n, height, width, 1), to the outputs of every network."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            return tf.function(
                lambda images: [model(images, training=False) for model in models], autograph=False
            )
        case "jax":
            import jax

            def outputs(values: Any, images: Any) -> list[Any]:
                of_models = zip(models, values, strict=True)
                return [model.stateless_call(*some, images, training=False)[0] for model, some in of_models]

            compiled = jax.jit(outputs)
            variables = [(model.trainable_variables, model.non_trainable_variables) for model in models]
            return lambda images: compiled([*map(_values, variables)], images)
        case _:
            return lambda images: [model.predict_on_batch(images) for model in models]


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

    def several(self, batches: Sequence[Sequence[Batch]]) -> list[list[Metrics]]:
        return _one_by_one(self, batches)

    def settle(self) -> None:
        pass


class _JaxStep:
    """One function of all variables, compiled for every combination of batch sizes.

    From one step to the next the variables stay on the device, and each step takes the place of the one
    before it. Handing them to Keras and back would take longer than a step of small networks.
    """

    def __init__(self, models: Sequence[keras.Model], squared_error: SquaredError, layout: Layout) -> None:
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
            return [trained, others, of_optimizer], metrics

        def unrolled(variables: Any, batches: Any) -> tuple[list[Any], list[Any]]:
            trained = [train(*one) for one in zip(models, variables, batches, strict=True)]
            return [one for one, _ in trained], [metrics for _, metrics in trained]

        def stacked(variables: Any, batches: Any) -> tuple[list[Any], list[Any]]:
            if len({images.shape for images, _ in batches}) > 1:  # members at the ends of their epochs
                return unrolled(variables, batches)
            trained = jax.vmap(partial(train, models[0]))(_stack(variables), _stack(batches))
            one, metrics = ([jax.tree.map(itemgetter(i), of_all) for i in places] for of_all in trained)
            return one, metrics

        places = range(len(models))
        step = stacked if layout == "stacked" else unrolled
        self._models, self._step = models, jax.jit(step, donate_argnums=0)
        self._scan = jax.jit(partial(jax.lax.scan, step), donate_argnums=0)
        self._variables: list[Any] | None = None

    def __call__(self, batches: Sequence[Batch]) -> list[Metrics]:
        self._variables, metrics = self._step(self._on_device(), list(batches))
        return _as_floats(metrics)

    def several(self, batches: Sequence[Sequence[Batch]]) -> list[list[Metrics]]:
        import jax

        self._variables, metrics = self._scan(self._on_device(), [_stack(some) for some in batches])
        steps = range(len(batches[0]))
        return [_as_floats([jax.tree.map(itemgetter(step), one) for step in steps]) for one in metrics]

    def _on_device(self) -> list[Any]:
        return self._variables or [_values(_variables(model)) for model in self._models]

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

    def several(self, batches: Sequence[Sequence[Batch]]) -> list[list[Metrics]]:
        return _one_by_one(self, batches)

    def settle(self) -> None:
        pass


def _one_by_one(step: Step, batches: Sequence[Sequence[Batch]]) -> list[list[Metrics]]:
    by_step = [step(of_step) for of_step in zip(*batches, strict=True)]
    return [list(of_network) for of_network in zip(*by_step, strict=True)]


def _variables(model: keras.Model) -> list[list[keras.Variable]]:
    return [model.trainable_variables, model.non_trainable_variables, model.optimizer.variables]


def _values(some: Sequence[Sequence[keras.Variable]]) -> list[list[Any]]:
    return [[variable.value for variable in variables] for variables in some]


def _stack(trees: Sequence[Any]) -> Any:
    """Trees of arrays as one whose arrays have one more axis, the first."""
    import jax

    return jax.tree.map(lambda *arrays: jax.numpy.stack(arrays), *trees)


def _as_floats(results: Sequence[dict[str, Any]]) -> list[Metrics]:
    return [{name: float(value) for name, value in metrics.items()} for metrics in results]
