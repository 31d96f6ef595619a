"""Steps of several members of an experiment on JAX, timed bare and with their augmentation."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import repeat
from math import prod
from pathlib import Path
from statistics import median

import numpy as np

from experiments.bench.rows import seconds
from experiments.bench.subjects.one_member import published
from fkd.experiment.experiment import Experiment
from fkd.training.augment import Batch, Batches
from fkd.training.batches import prefetched
from fkd.training.compiled_step import Layout
from fkd.training.device import augmenting_threads
from fkd.training.networks.build import build_model

# What each precision is to fkd, and to XLA's products of float32.
PRECISIONS = {
    "float32": ("float32", "highest"),
    "TF32": ("float32", "tensorfloat32"),
    "bfloat16": ("mixed_bfloat16", "bfloat16"),
}
SPECIALIST = "eleven"
FULL_BATCHES = 5  # of the largest size, in the 1,466 faces that train the specialist
REPEATS = 3
_TRAINING_PASSES = 3  # a step is about a forward pass and, backward, two


@dataclass(frozen=True)
class StepPlan:
    """What is measured: members in one step, their batches, how they are laid out, steps in a call."""

    precision: str
    members: int
    batch_size: int
    layout: Layout = "unrolled"
    steps_per_call: int = 1


@dataclass(frozen=True)
class StepTimes:
    """Seconds: of compiling with the first call, of a step on ready batches, of one with augmentation.

    weights: all of the first member's, after the first call.
    """

    compile_s: float
    bare_s: float
    augmented_s: float
    weights: np.ndarray


def time_step(plan: StepPlan, data_folder: Path, steps: int) -> StepTimes:
    """Train members of the published network for a while, `steps` a repeat; medians."""
    import jax

    policy, products = PRECISIONS[plan.precision]
    member = published(
        data_folder,
        f"training.precision={policy}",
        f"specialists.{SPECIALIST}.members={plan.members}",
        f"specialists.{SPECIALIST}.batch_size={plan.batch_size}",
        specialist=SPECIALIST,
        training_rows=FULL_BATCHES * plan.batch_size,
    )
    tasks = [member.task(index) for index in range(plan.members)]
    batches = [task.batches for task in tasks]
    calls = steps // plan.steps_per_call
    with jax.default_matmul_precision(products):
        pool = member.pool(plan.layout)
        models = [pool.take(task.seed) for task in tasks]

        def train(streams: list[Iterator[Batch]]) -> None:
            some = [[next(stream) for _ in range(plan.steps_per_call)] for stream in streams]
            if plan.steps_per_call > 1:
                pool.train_several(models, some)
            else:
                pool.train(models, [one for (one,) in some])

        def step_s(streams: list[Iterator[Batch]]) -> float:
            return seconds(lambda: [train(streams) for _ in range(calls)]) / (calls * plan.steps_per_call)

        ready = [repeat(jax.device_put(one(0, 0))) for one in batches]
        compile_s = seconds(lambda: train(ready))
        pool.settle()
        weights = np.concatenate([np.ravel(weight) for weight in models[0].get_weights()])
        bare_s = median(step_s(ready) for _ in range(REPEATS))
        with _augmented(batches) as streams:
            step_s(streams)  # the first ones find nothing prepared
            augmented_s = median(step_s(streams) for _ in range(REPEATS))
    return StepTimes(compile_s, bare_s, augmented_s, weights)


def flops_an_image(experiment: Experiment, specialist: str) -> float:
    """Floating-point operations to train a network on one image, of its convolutions and products alone."""
    model = build_model(experiment.network, len(experiment.point_indices(specialist)), (0,))
    kernels = [(layer.kernel, layer.output.shape[1:-1]) for layer in model.layers if hasattr(layer, "kernel")]
    return _TRAINING_PASSES * sum(2 * prod(kernel.shape) * prod(places) for kernel, places in kernels)


def matrix_peak(precision: str, size: int) -> float:
    """Operations a second of the product of two square matrices, the best of a few."""
    import jax

    policy, products = PRECISIONS[precision]
    kind = jax.numpy.bfloat16 if policy == "mixed_bfloat16" else jax.numpy.float32
    left, right = (jax.random.normal(jax.random.key(seed), (size, size), kind) for seed in (0, 1))
    with jax.default_matmul_precision(products):
        product = jax.jit(jax.numpy.matmul)
        product(left, right).block_until_ready()
        best_s = min(seconds(lambda: product(left, right).block_until_ready()) for _ in range(5))
    return 2 * size**3 / best_s


@contextmanager
def _augmented(batches: Sequence[Batches]) -> Iterator[list[Iterator[Batch]]]:
    threads = augmenting_threads(len(batches))
    with ExitStack() as closed_at_the_end:
        yield [closed_at_the_end.enter_context(closing(prefetched(one, 0, 0, threads))) for one in batches]
