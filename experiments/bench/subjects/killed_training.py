"""A training that is killed in the middle, resumed by the same command, and asked to stop."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fkd.experiment.files import load_experiment
from fkd.experiment.store import HistoryColumn as Column
from fkd.training.state import TrainingState, read_state

CHECKPOINT_S = 5
PATIENCE_S = 240  # to start and compile
_TIMES = (Column.SECONDS, Column.TRAINING_SECONDS)


@dataclass(frozen=True)
class KilledTraining:
    """What came of members of one specialist that shared a step.

    images_per_s: of all together, validation included where an epoch was finished. start_s, resume_s: from
    the command to the first saved state. saved_s_ago: how old that was when the process was killed. killed,
    stopped: the first member's place, as epoch and batch. same_history: whether what was recorded before
    the kill still stands.
    """

    images_per_s: float
    start_s: float
    resume_s: float
    saved_s_ago: float
    killed: tuple[int, int]
    stopped: tuple[int, int]
    same_history: bool


def train_and_kill(
    system: str, specialist: str, members: int, data_folder: Path, train_s: float
) -> KilledTraining:
    """Train for half of the time, kill, resume for the other half and stop; RuntimeError if it fails."""
    wanted = only(system, specialist, members)
    words = ["--set", wanted, "--set", f"training.checkpoint_seconds={CHECKPOINT_S}"]
    with tempfile.TemporaryDirectory() as store:
        call = [sys.executable, "-m", "fkd", "train", system, "--data", data_folder, "--store", store]
        call += ["--at-once", str(members), *words]
        process, start_s = begin(call, Path(store))
        time.sleep(train_s / 2)
        process.kill()
        process.wait()
        state = min(Path(store).rglob("state.npz"))
        saved_s_ago, before = time.time() - state.stat().st_mtime, read_state(state)[1]
        process, resume_s = begin(call, Path(store))
        time.sleep(train_s / 2)
        process.terminate()
        process.wait(PATIENCE_S)
        after = read_state(state)[1]
    return KilledTraining(
        members * pace(after),
        start_s,
        resume_s,
        saved_s_ago,
        (before.epoch, before.batch),
        (after.epoch, after.batch),
        _results(before) == _results(after)[: len(before.history)],
    )


def only(system: str, specialist: str, members: int) -> str:
    """The setting by which an experiment trains so many members of one specialist and nothing else."""
    alone = load_experiment(system).specialists[specialist].model_copy(update={"members": members})
    return f"specialists={{{specialist}: {alone.model_dump_json(exclude_defaults=True)}}}"


def begin(call: Sequence[str | Path], store: Path) -> tuple[subprocess.Popen[bytes], float]:
    """A training, and the seconds until it has saved a state; raises RuntimeError if it does not."""
    began = time.time()
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL)
    while not any(state.stat().st_mtime > began for state in store.rglob("state.npz")):
        if process.poll() is not None or time.time() - began > PATIENCE_S:
            process.kill()
            raise RuntimeError(f"{store}: nothing was saved")
        time.sleep(0.02)
    return process, time.time() - began


def pace(state: TrainingState) -> float:
    """Images a second of a member's fastest epoch, of the one in hand if none is finished."""
    if not state.history:
        return state.epoch_images / state.epoch_seconds
    return max(record[Column.IMAGES] / record[Column.SECONDS] for record in state.history)


def _results(state: TrainingState) -> list[dict[str, float]]:
    return [{name: value for name, value in record.items() if name not in _TIMES} for record in state.history]
