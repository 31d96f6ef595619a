"""What a machine is worth for fkd on JAX, in under ten minutes: `make gpu-check`.

Steps of the published network in every precision, alone and several at once; the share of the time that goes
into augmentation; trainings that are killed and resumed; and what all that makes of the hundred members of
the published recipe and of `champion-gpu`. On a machine without a GPU it runs small.
"""

import os
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.bench.subjects.jax_steps import (
    PRECISIONS,
    SPECIALIST,
    StepPlan,
    StepTimes,
    flops_an_image,
    matrix_peak,
    time_step,
)
from experiments.bench.subjects.killed_training import KilledTraining, train_and_kill
from fkd.core.errors import UserError
from fkd.core.lean_keras import keras
from fkd.data.source import load_data
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run
from fkd.runs.splits import make_splits

# The published eleven-point network stops early after so many epochs (passes/published.yaml); that the
# four-point one takes as many is assumed.
STOP_EPOCHS = 524


@dataclass(frozen=True)
class Size:
    """How much is measured, and in how many seconds at most the steps are."""

    precisions: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    members: tuple[int, ...]
    steps_per_call: tuple[int, ...]
    steps: int
    matrix: int
    steps_s: float
    train_s: float
    trained: dict[str, tuple[str, int]]  # by system: the specialist, and how many of its members at once


FULL = Size(
    tuple(PRECISIONS),
    (128, 256),
    (1, 2, 4, 8, 16),
    (1, 8),
    24,
    8192,
    300,
    60,
    {"ensemble": (SPECIALIST, 8), "champion-gpu": ("all", 2)},
)
SMALL = Size(
    ("float32", "bfloat16"),
    (16,),
    (1, 2),
    (1, 2),
    4,
    1024,
    240,
    20,
    {"ensemble": (SPECIALIST, 2), "champion": ("all", 1)},
)


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """The machine, its steps, its trainings and what follows from them, each with the machine's name."""
    if keras.backend.backend() != "jax":
        received = keras.backend.backend()
        raise UserError(f"gpu_check: expected Keras on JAX, received {received}; run make gpu-check")
    import jax

    device = jax.devices()[0]
    size = FULL if device.platform == "gpu" else SMALL
    machine = f"{device.device_kind}, {len(os.sched_getaffinity(0))} cores"
    peaks = {precision: matrix_peak(precision, size.matrix) for precision in size.precisions}
    flops = flops_an_image(load_experiment("ensemble"), SPECIALIST)
    steps = _steps_table(size, data_folder, peaks, flops)
    trained = {
        system: train_and_kill(system, *of_system, data_folder, size.train_s)
        for system, of_system in size.trained.items()
    }
    found = {
        "the machine": pd.DataFrame([_peaks_line(peaks, flops)]),
        "steps of the published eleven-point network": steps,
        "killed and resumed": pd.DataFrame([_killed_line(*one) for one in trained.items()]),
        "projected": pd.DataFrame(_projections(trained, data_folder)),
    }
    for table in found.values():
        table.insert(0, "machine", machine)
    return {f"JAX: {title}": table for title, table in found.items()}


def plans(size: Size) -> list[StepPlan]:
    """What is measured: how several members are laid out first, as that decides the rest."""
    fastest, batch = size.precisions[-1], size.batch_sizes[0]
    layouts = [
        StepPlan(fastest, members, batch, layout)
        for members, layout in product(size.members, ("unrolled", "stacked"))
    ]
    calls = [StepPlan(fastest, 1, batch, steps_per_call=steps) for steps in size.steps_per_call]
    others = [StepPlan(*one) for one in product(size.precisions, size.members, size.batch_sizes)]
    return list(dict.fromkeys([*layouts, *calls, *others]))


def _steps_table(size: Size, data_folder: Path, peaks: dict[str, float], flops: float) -> pd.DataFrame:
    ends_s = time.monotonic() + size.steps_s
    lines, alone = [], {}
    for plan in plans(size):
        if time.monotonic() > ends_s:
            break  # a row that is missing was not measured
        times = time_step(plan, data_folder, size.steps)
        reference = alone.setdefault((plan.precision, plan.batch_size), times)
        lines.append(step_line(plan, times, reference, peaks[plan.precision], flops))
        print(" ".join(f"{name} {value};" for name, value in lines[-1].items()), flush=True)
    return pd.DataFrame(lines)


def step_line(
    plan: StepPlan, times: StepTimes, alone: StepTimes, peak: float, flops: float
) -> dict[str, object]:
    """One row: speed of all members together, and how far the first one's weights are from those alone."""
    images, apart = plan.members * plan.batch_size, np.abs(times.weights - alone.weights).max()
    return {
        "precision": plan.precision,
        "members": plan.members,
        "batch of each": plan.batch_size,
        "layout": plan.layout,
        "steps a call": plan.steps_per_call,
        "compiling s": round(times.compile_s, 1),
        "images/s, bare": round(images / times.bare_s),
        "images/s, augmented": round(images / times.augmented_s),
        "host's share": f"{max(0.0, 1 - times.bare_s / times.augmented_s):.0%}",
        "of the matrix peak": f"{images * flops / times.bare_s / peak:.1%}",
        "weights apart": f"{apart:.0e}" if plan.steps_per_call == 1 else "",
    }


def _peaks_line(peaks: dict[str, float], flops: float) -> dict[str, object]:
    by_precision = {f"{precision} TFLOP/s": round(peak / 1e12, 2) for precision, peak in peaks.items()}
    return {"JAX": version("jax"), **by_precision, "MFLOP to train on an image": round(flops / 1e6)}


def _killed_line(system: str, trained: KilledTraining) -> dict[str, object]:
    return {
        "system": system,
        "images/s": round(trained.images_per_s),
        "start s": round(trained.start_s, 1),
        "again s": round(trained.resume_s, 1),
        "saved before the kill s": round(trained.saved_s_ago, 1),
        "killed at": "epoch {}, batch {}".format(*trained.killed),
        "stopped at": "epoch {}, batch {}".format(*trained.stopped),
        "history": "kept" if trained.same_history else "CHANGED",
    }


def _projections(trained: dict[str, KilledTraining], data_folder: Path) -> list[dict[str, object]]:
    lines = []
    for system, result in trained.items():
        experiment = load_experiment(system)
        images = images_to_train(experiment, images_per_epoch(experiment, data_folder))
        lines.append(
            {
                "system": system,
                "members": len(experiment.members),
                "million images": round(images / 1e6, 1),
                "images/s": round(result.images_per_s),
                "minutes": round(images / result.images_per_s / 60, 1),
            }
        )
    return lines


def images_per_epoch(experiment: Experiment, data_folder: Path) -> dict[str, int]:
    """How many images train each specialist in an epoch."""
    with tempfile.TemporaryDirectory() as run:
        faces = load_data(str(data_folder), lambda line: None, experiment.schema_points)
        splits = make_splits(Run(Path(run)), experiment, faces)
    return {name: split.images_per_epoch for name, split in splits.items()}


def images_to_train(experiment: Experiment, images_per_epoch: dict[str, int]) -> int:
    """Of all members together, to the published early stop or to the last epoch."""
    epochs = min(STOP_EPOCHS, experiment.training.max_epochs)
    return sum(
        of_one.members * epochs * images_per_epoch[name] for name, of_one in experiment.specialists.items()
    )
