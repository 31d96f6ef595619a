"""Training all members of a run, shared with other processes and machines that do the same."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import keras

from fkd.data.faces import Faces
from fkd.experiment import Experiment
from fkd.interrupt import InterruptedTrainingError, StopRequest
from fkd.locks import lock_holder, member_lock
from fkd.progress import Progress
from fkd.remote import RemoteStore, RemoteUnreachableError
from fkd.specialists import Split
from fkd.store import MemberFolder, Run, damaged_files
from fkd.train import MemberTask, MemberTraining

# How often to look whether a member that another process trains is done or given up.
_LOOK_AGAIN_S = 5.0


def train_members(
    run: Run,
    experiment: Experiment,
    faces: Faces,
    splits: Mapping[str, Split],
    progress: Progress,
    stop: StopRequest,
    remote: RemoteStore | None = None,
    tensorboard: bool = False,
) -> None:
    """Train until every member of the experiment is done, here or by another process or machine.

    faces: all training faces; splits: their rows by specialist.
    Raises InterruptedTrainingError when a stop is asked for, and what MemberTraining raises.
    """
    rows = {
        name: (faces.take(split.training), faces.take(split.validation)) for name, split in splits.items()
    }
    waiting = [MemberTask(experiment, name, index, *rows[name]) for name, index in experiment.members]
    while waiting:
        held_elsewhere = []
        for task in waiting:
            folder = run.member(task.specialist, task.index)
            with _held(folder, progress, remote) as lost:
                if lost is None or not _train_here(task, folder, progress, stop, lost, remote, tensorboard):
                    held_elsewhere.append(task)
        if held_elsewhere == waiting:
            holders = (f"{task.name} by {_holder(run, task, remote)}" for task in waiting)
            progress.say_once(f"Waiting for members that others train: {', '.join(holders)}")
            _pause(stop)
        waiting = held_elsewhere


@contextmanager
def _held(
    folder: MemberFolder, progress: Progress, remote: RemoteStore | None
) -> Iterator[threading.Event | None]:
    """Hold a member and bring it up to date: an event that tells its loss, None if another one holds it."""
    with member_lock(folder) as held:
        if not held or remote is None:
            yield threading.Event() if held else None
            return
        lease = remote.acquire(folder)
        if lease is None:
            yield None
            return
        try:
            remote.pull_member(folder)
        except RemoteUnreachableError as error:
            progress.say(f"{error}; {folder.path} goes on from what is here")
        try:
            yield lease.lost
        finally:
            remote.release(folder)


def _train_here(
    task: MemberTask,
    folder: MemberFolder,
    progress: Progress,
    stop: StopRequest,
    lost: threading.Event,
    remote: RemoteStore | None,
    tensorboard: bool,
) -> bool:
    """Train a held member unless it is done; False if another machine takes it over meanwhile."""
    if _is_done(folder, progress):
        progress.finish_elsewhere(task.name)
        return True
    keras.utils.clear_session()
    training = MemberTraining(
        task,
        folder,
        progress,
        why_stop=lambda: stop.reason or ("taken over" if lost.is_set() else None),
        on_saved=remote.push if remote else lambda folder: None,
        tensorboard=tensorboard,
    )
    try:
        training.run()
    except InterruptedTrainingError:
        if stop.reason:
            raise
        return False
    return True


def _is_done(folder: MemberFolder, progress: Progress) -> bool:
    """Whether a member is finished and whole; what is damaged is said and made again from the last state."""
    if not folder.done.exists():
        return False
    if damaged := damaged_files(folder):
        progress.say(f"{folder.path}: {', '.join(damaged)} damaged or missing; made again")
        folder.done.unlink()
    return not damaged


def _holder(run: Run, task: MemberTask, remote: RemoteStore | None) -> str:
    folder = run.member(task.specialist, task.index)
    if here := lock_holder(folder):
        return str(here)
    return remote.holder(folder) if remote else "a process that ends just now"


def _pause(stop: StopRequest) -> None:
    """Wait for a while; a stop is heard at once."""
    until_s = time.monotonic() + _LOOK_AGAIN_S
    while time.monotonic() < until_s:
        if stop.reason:
            raise InterruptedTrainingError(f"{stop.reason}: nothing was in hand; run the same command again")
        time.sleep(0.2)
