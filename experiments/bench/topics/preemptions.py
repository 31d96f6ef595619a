"""What a machine that is taken away again and again costs, against how often a state is saved.

The parts are measured: how long a start takes until something is saved, and how long a save. Machines then
live for exponentially distributed times, and a long training is replayed on them. Only a kill without a
notice costs work; on SIGTERM, and on a notice of EC2, all is saved.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib import pyplot

from experiments.bench.conditions import RESULTS
from experiments.bench.subjects.command import FKD
from experiments.bench.subjects.killed_training import begin, only
from fkd.experiment.files import load_experiment
from fkd.experiment.store import MemberFolder, read_done

matplotlib.use("Agg")

LIVES_MIN = (10, 30, 120)
CHECKPOINT_SECONDS = (1, 3, 10, 30, 100, 300, 1000)
DEFAULT_S = 30
TRAINING_H = 1000  # of one machine's work, so that the figures are those of a long run
SAVES = 200
SYSTEMS = {"ensemble": "eleven", "champion": "all"}  # and the specialist of which a member is trained
PATIENCE_S = 300


@dataclass(frozen=True)
class Parts:
    """Seconds from the command to the first saved state, and of one save."""

    start_s: float
    save_s: float


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """The share of a machine's time that is lost, by system and mean life; the figure goes into RESULTS."""
    lines = []
    for system, specialist in SYSTEMS.items():
        parts = measure_parts(system, specialist, data_folder)
        for life_min in LIVES_MIN:
            line: dict[str, object] = {
                "system": system,
                "start s": round(parts.start_s, 1),
                "save ms": round(1000 * parts.save_s, 1),
                "mean life min": life_min,
            }
            for checkpoint_s in CHECKPOINT_SECONDS:
                line[f"{checkpoint_s} s"] = lost_share(parts, checkpoint_s, 60 * life_min)
            lines.append(line)
    table = pd.DataFrame(lines)
    _draw(table, RESULTS / "preemptions.png")
    shares = [f"{checkpoint_s} s" for checkpoint_s in CHECKPOINT_SECONDS]
    table[shares] = table[shares].map("{:.1%}".format)
    return {"Time lost with machines that are killed, by checkpoint_seconds": table}


def measure_parts(system: str, specialist: str, data_folder: Path) -> Parts:
    """Of a member of an experiment that saves after every batch, SAVES times."""
    batch_size = load_experiment(system).specialists[specialist].batch_size
    with tempfile.TemporaryDirectory() as store:
        settings = [only(system, specialist, 1), f"training.max_images={SAVES * batch_size}"]
        settings += ["training.checkpoint_seconds=0", "training.schedule={name: constant}"]
        words = [word for setting in settings for word in ("--set", setting)]
        call = [FKD, "train", system, "--data", data_folder, "--store", store, *words]
        process, start_s = begin(call, Path(store))
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()
        [member] = [MemberFolder(state.parent) for state in Path(store).rglob("state.npz")]
        return Parts(start_s, read_done(member).saving_seconds / SAVES)


def lost_share(parts: Parts, checkpoint_s: float, mean_life_s: float, seed: int = 0) -> float:
    """The share of the machines' time that does not become part of a training of TRAINING_H hours."""
    rng, work_s = np.random.default_rng(seed), 3600.0 * TRAINING_H
    saved_s = spent_s = 0.0
    while saved_s < work_s:
        life_s = rng.exponential(mean_life_s)
        saved_s += checkpoint_s * saves_within(parts, checkpoint_s, life_s)
        spent_s += life_s
    return 1 - saved_s / spent_s


def saves_within(parts: Parts, checkpoint_s: float, life_s: float) -> int:
    """How many states a machine saves in its life, each after so many seconds of training."""
    return max(0, int((life_s - parts.start_s) / (checkpoint_s + parts.save_s)))


def _draw(table: pd.DataFrame, path: Path) -> None:
    shares = [f"{checkpoint_s} s" for checkpoint_s in CHECKPOINT_SECONDS]
    long = table.melt(["system", "mean life min"], shares, "checkpoint_seconds", "lost")
    long["checkpoint_seconds"] = long["checkpoint_seconds"].str.removesuffix(" s").astype(int)
    long["lost"] *= 100
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    seaborn.lineplot(
        long,
        x="checkpoint_seconds",
        y="lost",
        hue="mean life min",
        style="system",
        palette="colorblind",
        marker="o",
        ax=axes,
    )
    axes.axvline(DEFAULT_S, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="seconds between saved states (dotted: the default)", ylim=(0, None))
    axes.set_ylabel("share of the machines' time lost, %")
    axes.set_title("Machines that are killed without a notice", loc="left")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
