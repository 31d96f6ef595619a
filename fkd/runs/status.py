"""Where the members of a run stand, read from the store alone."""

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from fkd.core.files import is_there
from fkd.core.say import first_few
from fkd.experiment.experiment import Experiment
from fkd.experiment.records import DamagedRecordError, DoneRecord
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import (
    HistoryColumn,
    MemberFolder,
    Run,
    damaged_files,
    has_checksum,
    read_done,
    read_history,
)
from fkd.runs.locks import lock_holder
from fkd.training.state import saved_history

# What a status shows of a history, beside what is monitored.
_SHOWN = (HistoryColumn.EPOCH, HistoryColumn.VALIDATION_RMSE_PX, HistoryColumn.SECONDS)

MemberState = Literal["done", "damaged", "training", "interrupted", "waiting"]


@dataclass(frozen=True)
class MemberStatus:
    """A member's progress; `damaged` has no readable done.json, or another history than it ended with.

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
        _member_status(
            MemberId(specialist, index).name, run.member(specialist, index), experiment.training.monitor
        )
        for specialist, settings in experiment.specialists.items()
        for index in range(settings.members)
    ]


def recorded_epochs(folder: MemberFolder, columns: Collection[str] | None = None) -> list[dict[str, float]]:
    """A member's epochs by `HistoryColumn`: those of its state where nothing vouches for history.csv.

    columns: those that are wanted at least, None for all.
    """
    with suppress(FileNotFoundError, DamagedRecordError):
        only_history = not is_there(folder.done) and not folder.state.exists()
        if only_history or _is_vouched_for(folder):
            return read_history(folder, columns)
    return saved_history(folder)


def _is_vouched_for(folder: MemberFolder) -> bool:
    checksum = read_done(folder).files.get(folder.history.name)
    return checksum is None or has_checksum(folder.history, checksum)


def finished_members(run: Run, experiment: Experiment, specialist: str) -> tuple[list[int], list[str]]:
    """Members whose training is done and whose files are whole; why others are left out.

    Raises DamagedRecordError, naming the members, where files of finished ones are damaged: a choice without
    them would be another one.
    """
    finished, left_out, damaged = [], [], []
    for index in range(experiment.specialists[specialist].members):
        folder = run.member(specialist, index)
        if not is_there(folder.done):
            left_out.append(f"{folder.name}: left out, its training is not finished")
        elif files := damaged_files(folder):
            damaged.append(f"{folder.name} ({', '.join(files)})")
        else:
            finished.append(index)
    if damaged:
        raise DamagedRecordError(
            f"{run.path}: expected whole files of all finished members, received damaged or missing ones of "
            f"{first_few(damaged)}; {DoneRecord.way_out}, or remove the member's folder to do without it"
        )
    return finished, left_out


def _member_status(name: str, folder: MemberFolder, monitor: str) -> MemberStatus:
    damaged = False
    try:
        done = read_done(folder) if is_there(folder.done) else None
    except DamagedRecordError:
        done, damaged = None, True
    records = recorded_epochs(folder, {monitor, *_SHOWN})
    state: MemberState
    if done and records:
        state = "done"
    elif lock_holder(folder) is not None:
        state = "training"
    elif done or damaged:
        state = "damaged"
    else:
        state = "interrupted" if records or folder.state.exists() else "waiting"
    if not records:
        return MemberStatus(name, state)
    saved = folder.history if folder.history.exists() else folder.state
    best = min(records, key=lambda record: record[monitor])
    return MemberStatus(
        name,
        state,
        epochs=len(records),
        best_rmse_px=best[HistoryColumn.VALIDATION_RMSE_PX],
        best_epoch=int(best[HistoryColumn.EPOCH]),
        training_s=sum(record[HistoryColumn.SECONDS] for record in records),
        saving_s=done.saving_seconds if done else 0.0,
        saved_s_ago=time.time() - saved.stat().st_mtime,
    )
