"""The host's ceiling: how many images a second the whole loop can give to a network that costs nothing.

Augmentation, copying and bookkeeping are as in a training; only the network's step returns at once.
"""

import dataclasses
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from experiments.bench.rows import Row
from experiments.bench.subjects.one_member import Published, augmented_per_s, published
from fkd.training.augment import Batch
from fkd.training.compiled_step import Metrics
from fkd.training.member_training import train_together
from fkd.training.network_pool import NetworkPool

REPEATS = 5
BATCHES = 12
STEPS = 500
SMALL = ("network.convolutions=[{filters: 1, kernel: 3, pool: 8}]", "network.dense=[2]")


class FreePool(NetworkPool):
    """Networks that learn nothing, in no time."""

    def train(self, models: Sequence[Any], batches: Sequence[Batch]) -> list[Metrics]:
        """What a step would return."""
        return [{"loss": 1.0, "squared_error": 0.01} for _ in models]


class ReadyBatches:
    """Batches that are the same array every time."""

    def __init__(self, batch: Batch, number: int) -> None:
        self._batch, self._number = batch, number
        self.batch_size, self.images = len(batch[0]), range(number * len(batch[0]))

    def __len__(self) -> int:
        return self._number

    def __call__(self, epoch: int, index: int) -> Batch:
        """The batch, whatever its place."""
        return self._batch


def measure(data_folder: Path) -> list[Row]:
    """The loop against the augmentation alone on every core, and Python's part of a step."""
    quiet = (*SMALL, "training.max_epochs=2", "training.checkpoint_seconds=1e6")
    batch_size = published(data_folder).task(0).batches.batch_size
    member = published(data_folder, *quiet, training_rows=BATCHES * batch_size, validation_rows=128)
    cores = len(os.sched_getaffinity(0))
    pool = FreePool(member.experiment, "four", images_per_epoch=len(member.training.ids))
    _loop(member, pool)
    pairs = [(_loop(member, pool), _one_core(member)) for _ in range(REPEATS)]
    loop, one_core = (median(speeds) for speeds in zip(*pairs, strict=True))
    ratio = median(loop_once / (cores * core_once) for loop_once, core_once in pairs)
    step_ms = median(_step_ms(member, pool) for _ in range(REPEATS))
    at_best = _processes(data_folder, BATCHES * batch_size, cores)
    return [
        Row(
            f"images/s of the training loop with a network that costs nothing, {cores} cores",
            "the augmentation alone on one core, times the cores",
            ratio,
            0.9,
            f"{loop:,.0f} against {cores} times {one_core:,.0f} images/s; "
            f"{cores} processes that only augment make {at_best:,.0f}",
        ),
        Row(
            "milliseconds of Python a step beside the network's",
            "0.3 ms",
            0.3 / step_ms,
            1.0,
            f"{step_ms:.3f} ms, batches ready in memory",
        ),
    ]


def _loop(member: Published, pool: NetworkPool) -> float:
    """Images a second of the last epoch, as its history records them."""
    with tempfile.TemporaryDirectory() as store:
        train_together(pool, [member.start(0, pool, Path(store)).steps()])
        (history,) = Path(store).rglob("history.csv")
        epoch = pd.read_csv(history).iloc[-1]
    return float(epoch["images"] / epoch["training_seconds"])


def _one_core(member: Published) -> float:
    """Images a second of the augmentation by a single thread."""
    return augmented_per_s(member.task(0).batches, BATCHES)


def _processes(data_folder: Path, rows: int, cores: int) -> float:
    """Images a second of as many processes as cores that only augment: what the machine can give."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(cores, context) as pool:
        together = manager.Barrier(cores)
        return sum(pool.map(_one_process, repeat(data_folder, cores), repeat(rows), repeat(together)))


def _one_process(data_folder: Path, rows: int, together: Any) -> float:
    member = published(data_folder, training_rows=rows, validation_rows=128)
    _one_core(member)
    together.wait()
    return median(_one_core(member) for _ in range(REPEATS))


def _step_ms(member: Published, pool: NetworkPool) -> float:
    """What a step takes when neither its batch nor its network does."""
    task = member.task(0)
    ready: Any = ReadyBatches(task.batches(0, 0), STEPS)
    task = dataclasses.replace(task, batches=ready)
    with tempfile.TemporaryDirectory() as store:
        train_together(pool, [member.start(0, pool, Path(store), task).steps()])
        (history,) = Path(store).rglob("history.csv")
        return 1000 * float(pd.read_csv(history)["training_seconds"].iloc[-1]) / STEPS
