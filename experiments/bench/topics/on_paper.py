"""What GPU machines would take for the published ensemble and `champion-gpu`, computed from measured parts.

Measured here: operations an image, images a second that one core augments, and the share of all cores' rate
that the whole loop reaches. Assumed: how much of a GPU's peak such small networks reach. A machine is as fast
as the slower of its two halves. `make gpu-check` replaces the assumption by a measurement.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from experiments.bench.conditions import RESULTS
from experiments.bench.notes import load_all
from experiments.bench.subjects.jax_steps import flops_an_image
from experiments.bench.subjects.one_member import augmented_per_s
from experiments.bench.topics.gpu_check import images_per_epoch, images_to_train
from fkd.core.errors import UserError
from fkd.data.source import load_data
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.training.batches import member_batches

SYSTEMS = {"ensemble": "eleven", "champion-gpu": "all"}  # and the specialist whose batches are made
BATCHES, REPEATS = 8, 5


@dataclass(frozen=True)
class Work:
    """Images of all members together, operations to train on one, and what a core prepares in a second."""

    images: int
    flops: float
    images_a_core: float


@dataclass(frozen=True)
class Machine:
    """A usual machine with one GPU: its peak for 16-bit products (dense, the maker's figure), and its price.

    dollars: an hour on demand, about what clouds ask in 2026; put yours here. Spot machines take a third to
    a half of it.
    """

    name: str
    tflops: float
    cores: int
    dollars: float


MACHINES = (
    Machine("T4 (g4dn.xlarge)", 65, 4, 0.53),
    Machine("A10G (g5.xlarge)", 70, 4, 1.01),
    Machine("L4 (g6.xlarge)", 121, 4, 0.80),
    Machine("A100 (a2-highgpu-1g)", 312, 12, 3.67),
    Machine("H100 (p5.4xlarge)", 989, 16, 6.88),
)
SHARES_OF_PEAK = (0.03, 0.10)  # a pessimist's and an optimist's; 0.1 is what two CPU cores reach


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Minutes and dollars of both systems on every machine, by the share of its peak that is reached."""
    loop_share = _loop_share()
    parts, lines = [], []
    for system, specialist in SYSTEMS.items():
        experiment = load_experiment(system)
        work = Work(
            images_to_train(experiment, images_per_epoch(experiment, data_folder)),
            flops_an_image(experiment, specialist),
            _images_a_core(experiment, specialist, data_folder) * loop_share,
        )
        parts.append(
            {
                "system": system,
                "members": len(experiment.members),
                "million images": round(work.images / 1e6, 1),
                "GFLOP an image": round(work.flops / 1e9, 2),
                "images/s a core": round(work.images_a_core),
            }
        )
        lines += [_line(system, machine, work) for machine in MACHINES]
    return {
        "On paper: the parts": pd.DataFrame(parts),
        "On paper: minutes, what limits them, and dollars": pd.DataFrame(lines),
    }


def _line(system: str, machine: Machine, work: Work) -> dict[str, object]:
    return {"system": system, "machine": machine.name, "cores": machine.cores} | cost(machine, work)


def cost(machine: Machine, work: Work) -> dict[str, str]:
    """By the share of the GPU's peak that is reached."""
    host = machine.cores * work.images_a_core
    found = {}
    for share in SHARES_OF_PEAK:
        gpu = share * machine.tflops * 1e12 / work.flops
        hours = work.images / min(host, gpu) / 3600
        limit = "host" if host < gpu else "GPU"
        time = f"{60 * hours:.0f} min ({limit})"
        found[f"at {share:.0%} of the peak"] = f"{time}, ${hours * machine.dollars:.2f}"
    return found


def _images_a_core(experiment: Experiment, specialist: str, data_folder: Path) -> float:
    """Images a second that one core augments for a member."""
    faces = load_data(str(data_folder), lambda line: None, experiment.schema_points).training
    rows = np.flatnonzero(np.isfinite(faces.keypoints).all(axis=(1, 2)))
    batches = member_batches(experiment, specialist, faces.take(rows))[0]
    return median(augmented_per_s(batches, BATCHES) for _ in range(REPEATS))


def _loop_share() -> float:
    """The share of all cores' augmentation that the whole loop reaches, as the topic `host` found it."""
    for topic in load_all(RESULTS, ["host"]):
        return topic.rows[0].ratio
    raise UserError("on_paper: expected the figures of the topic host, found none; measure it first")
