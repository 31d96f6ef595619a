"""Where the members of a run stand, read from the store alone."""

import csv
import time
from dataclasses import dataclass
from typing import Literal

from fkd.experiment import Experiment
from fkd.store import MemberFolder, Run


@dataclass(frozen=True)
class MemberStatus:
    """A member's progress; `saved_s_ago` is the age of its last epoch in seconds."""

    name: str
    state: Literal["done", "begun", "waiting"]
    epochs: int = 0
    best_rmse_px: float = float("nan")
    best_epoch: int = 0
    saved_s_ago: float = float("nan")


def run_status(run: Run, experiment: Experiment) -> list[MemberStatus]:
    """The status of every member of the experiment, specialist by specialist."""
    return [
        _member_status(f"{specialist}/{index:02d}", run.member(specialist, index))
        for specialist, settings in experiment.specialists.items()
        for index in range(settings.members)
    ]


def _member_status(name: str, folder: MemberFolder) -> MemberStatus:
    state: Literal["done", "begun"] = "done" if folder.done.exists() else "begun"
    try:
        saved_s_ago = time.time() - folder.history.stat().st_mtime
        with folder.history.open(newline="") as file:
            errors_px = [float(record["validation_rmse_px"]) for record in csv.DictReader(file)]
    except FileNotFoundError:
        return MemberStatus(name, "waiting")
    best_rmse_px = min(errors_px)
    return MemberStatus(
        name, state, len(errors_px), best_rmse_px, errors_px.index(best_rmse_px) + 1, saved_s_ago
    )
