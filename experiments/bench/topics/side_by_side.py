"""The champion's members one after another and side by side: its batches of 16 leave cores idle."""

import os
import tempfile
from pathlib import Path
from statistics import mean

import pandas as pd

from experiments.bench.subjects.command import fkd_seconds
from experiments.bench.subjects.finished_run import CHAMPION
from fkd.experiment.store import MemberFolder, read_history

EPOCHS = 3  # more than those in which the rate rises


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Training images a second by the number of processes, of which each has its share of the cores."""
    counts = sorted({1, os.cpu_count() or 1})
    paces = {count: _images_a_second(data_folder, count) for count in counts}
    return {
        "The champion's members side by side": pd.DataFrame(
            {"processes": count, "images/s": round(pace), "against one": f"{pace / paces[1]:.2f}x"}
            for count, pace in paces.items()
        )
    }


def _images_a_second(data_folder: Path, count: int) -> float:
    """Of all processes together, in the last epoch of one member each."""
    settings = (f"specialists.all.members={count}", f"training.max_epochs={EPOCHS}")
    sets = [word for setting in settings for word in ("--set", setting)]
    with tempfile.TemporaryDirectory(prefix="fkd-bench-") as store:
        fkd_seconds("train", CHAMPION, "--data", data_folder, "--store", store, *sets, "--jobs", count)
        epochs = [read_history(MemberFolder(path))[-1] for path in Path(store).glob("*/all/[0-9]*")]
    return count * mean(epoch["images"] / epoch["seconds"] for epoch in epochs)
