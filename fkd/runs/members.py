"""Training all members of a run, shared with other processes and machines that do the same."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress

import keras

from fkd.core.interrupt import InterruptedTrainingError, StopRequest
from fkd.data.faces import Faces
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import MemberFolder, Run, damaged_files
from fkd.experiment.training import Training
from fkd.runs.locks import lock_holder, member_lock
from fkd.runs.remote.remote_store import RemoteStore, RemoteUnreachableError
from fkd.runs.splits import Split
from fkd.training.augment import Batch
from fkd.training.batches import member_batches
from fkd.training.member_training import MemberTask, MemberTraining, Steps
from fkd.training.network_pool import NetworkPool
from fkd.training.progress import MemberProgress

# How often to look whether a member that another process trains is done or given up.
_LOOK_AGAIN_S = 5.0


def train_members(
    run: Run,
    experiment: Experiment,
    faces: Faces,
    splits: Mapping[str, Split],
    progress: MemberProgress,
    stop: StopRequest,
    remote: RemoteStore | None = None,
    tensorboard: bool = False,
    at_once: int = 1,
    only: Sequence[tuple[str, int]] = (),
) -> None:
    """Train until every member of the experiment is done, here or by another process or machine.

    faces: all training faces; splits: their rows by specialist. at_once: so many members of a kind are
    trained in one step; they do not depend on it. only: (specialist, index) of members that are wanted, none
    for all.
    Raises InterruptedTrainingError when a stop is asked for, and what MemberTraining raises.
    """
    members = only or experiment.members
    splits = {name: split for name, split in splits.items() if name in dict(members)}
    waiting = _tasks(experiment, faces, splits, members)
    pools = {
        kind: NetworkPool(task.experiment, task.specialist, len(task.batches.images))
        for kind, task in {task.kind: task for task in waiting}.items()
    }

    def train_here(task: MemberTask, held_elsewhere: list[MemberTask]) -> Steps:
        folder = run.member(task.specialist, task.index)
        with _held(folder, progress, remote) as lost:
            if lost is None:
                held_elsewhere.append(task)
            elif _is_done(folder, progress):
                progress.finish_elsewhere(task.name)
            else:
                training = MemberTraining(
                    task,
                    folder,
                    pools[task.kind],
                    progress,
                    why_stop=lambda: stop.reason or ("taken over" if lost.is_set() else None),
                    on_saved=remote.push if remote else lambda folder: None,
                    tensorboard=tensorboard,
                )
                try:
                    yield from training.steps()
                except InterruptedTrainingError:
                    if stop.reason:
                        raise
                    held_elsewhere.append(task)

    while waiting:
        held_elsewhere: list[MemberTask] = []
        for group in _groups(waiting, at_once):
            train_together(pools[group[0].kind], [train_here(task, held_elsewhere) for task in group])
        if held_elsewhere == waiting:
            holders = (f"{task.name} by {_holder(run, task, remote)}" for task in waiting)
            progress.say_once(f"Waiting for members that others train: {', '.join(holders)}")
            _pause(stop)
        waiting = held_elsewhere


def train_together(pool: NetworkPool, members: Iterable[Steps]) -> None:
    """Train members of one kind to their ends; a step trains all that are not there yet.

    Raises what they raise; InterruptedTrainingError only after all have saved.
    """
    wanted: dict[Steps, tuple[keras.Model, Batch]] = {}
    interruption = None
    with ExitStack() as closed_at_the_end:
        for member in members:
            closed_at_the_end.enter_context(closing(member))
            with suppress(StopIteration):
                wanted[member] = next(member)
        while wanted:
            results = pool.train(*zip(*wanted.values(), strict=True))
            for member, metrics in zip(list(wanted), results, strict=True):
                try:
                    wanted[member] = member.send(metrics)
                except StopIteration:
                    del wanted[member]
                except InterruptedTrainingError as error:  # the others hear of it within a batch
                    interruption = error
                    del wanted[member]
    if interruption:
        raise interruption


def _tasks(
    experiment: Experiment,
    faces: Faces,
    splits: Mapping[str, Split],
    members: Sequence[tuple[str, int]],
) -> list[MemberTask]:
    batches = {name: member_batches(experiment, name, s.training_faces(faces)) for name, s in splits.items()}
    validation = {name: faces.take(split.validation) for name, split in splits.items()}
    return [
        MemberTask(experiment.of_member(index), name, index, batches[name][index], validation[name])
        for name, index in members
    ]


def _groups(tasks: Sequence[MemberTask], size: int) -> Iterator[list[MemberTask]]:
    """Tasks of one kind, so many at a time, in their order; fewer where no more are left."""
    gathered: dict[tuple[str, Training], list[MemberTask]] = {}
    for task in tasks:
        group = gathered.setdefault(task.kind, [])
        group.append(task)
        if len(group) == size:
            yield gathered.pop(task.kind)
    yield from gathered.values()


@contextmanager
def _held(
    folder: MemberFolder, progress: MemberProgress, remote: RemoteStore | None
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


def _is_done(folder: MemberFolder, progress: MemberProgress) -> bool:
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
