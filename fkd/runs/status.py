"""Where the members of a run stand, read from the store alone."""

import json
import time
from dataclasses import dataclass
from typing import Literal

from fkd.experiment.experiment import Experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import HistoryColumn, MemberFolder, Run, damaged_files, read_history
from fkd.runs.locks import lock_holder

MemberState = Literal["done", "training", "interrupted", "waiting"]


@dataclass(frozen=True)
class MemberStatus:
    """A member's progress.

    training_s: seconds of training so far. saving_s: seconds spent on writing states, known at the end.
    saved_s_ago: the age of its last save in seconds.
    """

    name: str
    state: MemberState
    epochs: int = 0
    best_rmse_px: float = float("nan")
    best_epoch: int = 0
    training_s: float = 0.0
    saving_s: float = 0.0
    saved_s_ago: float = float("nan")


def run_status(run: Run, experiment: Experiment) -> list[MemberStatus]:
    """The status of every member of the experiment, specialist by specialist."""
    return [
        _member_status(MemberId(specialist, index).name, run.member(specialist, index))
        for specialist, settings in experiment.specialists.items()
        for index in range(settings.members)
    ]


def _member_status(name: str, folder: MemberFolder) -> MemberStatus:
    done = json.loads(folder.done.read_text()) if folder.done.exists() else None
    training = done is None and lock_holder(folder) is not None
    try:
        saved_s_ago = time.time() - folder.history.stat().st_mtime
        records = read_history(folder)
    except FileNotFoundError:
        begun: MemberState = "interrupted" if folder.state.exists() else "waiting"
        return MemberStatus(name, "training" if training else begun)
    errors_px = [record[HistoryColumn.VALIDATION_RMSE_PX] for record in records]
    best_rmse_px = min(errors_px)
    return MemberStatus(
        name,
        "done" if done else "training" if training else "interrupted",
        epochs=len(records),
        best_rmse_px=best_rmse_px,
        best_epoch=errors_px.index(best_rmse_px) + 1,
        training_s=sum(record[HistoryColumn.SECONDS] for record in records),
        saving_s=done["saving_seconds"] if done else 0.0,
        saved_s_ago=saved_s_ago,
    )


def finished_members(run: Run, experiment: Experiment, specialist: str) -> tuple[list[int], list[str]]:
    """Members whose training is done and whose validation predictions are there; why others are left out."""
    finished, left_out = [], []
    for index in range(experiment.specialists[specialist].members):
        folder = run.member(specialist, index)
        if not folder.done.exists():
            left_out.append(f"{MemberId(specialist, index).name}: left out, its training is not finished")
        elif damaged := damaged_files(folder):
            left_out.append(
                f"{MemberId(specialist, index).name}: left out, {', '.join(damaged)} damaged or missing"
            )
        else:
            finished.append(index)
    return finished, left_out
