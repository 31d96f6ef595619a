"""Training all members of a run, shared with other processes and machines that do the same."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from fkd.core.files import is_there, move_damaged_aside
from fkd.core.interrupt import InterruptedTrainingError, StopRequest
from fkd.experiment.store import MemberFolder, Run, damaged_files, is_done
from fkd.experiment.training import Training
from fkd.runs.job import Job
from fkd.runs.locks import lock_holder, member_lock
from fkd.runs.remote.remote_store import RemoteStore, RemoteUnreachableError
from fkd.runs.remote.session import remote_session
from fkd.training.batches import member_batches
from fkd.training.device import augmenting_threads, prepare_device
from fkd.training.member_task import MemberTask
from fkd.training.member_training import MemberTraining, Steps, train_together
from fkd.training.network_pool import NetworkPool
from fkd.training.progress import MemberProgress

# How often to look whether a member that another process trains is done or given up.
LOOK_AGAIN_S = 5.0


def train_in_own_process(job: Job, progress: MemberProgress, stop: StopRequest) -> None:
    """Train as `train_members` does, in a process that has prepared neither device nor remote store yet."""
    prepare_device(job.experiment.training)
    with remote_session(job.store_url, job.run.path.parent, job.run, progress.say) as remote:
        train_members(job, progress, stop, remote)


def train_members(
    job: Job, progress: MemberProgress, stop: StopRequest, remote: RemoteStore | None = None
) -> None:
    """Train until every member of the job is done, here or by another process or machine.

    remote: the open remote store, if there is one. Raises InterruptedTrainingError when a stop is asked for,
    and what MemberTraining raises.
    """
    waiting = _tasks(job)
    pools = {
        kind: NetworkPool(task.experiment, task.specialist, len(task.batches.images))
        for kind, task in {task.kind: task for task in waiting}.items()
    }

    def member_steps(task: MemberTask, held_elsewhere: list[MemberTask]) -> Steps:
        """The member's training, nothing if it is done, or its place among those that others hold."""
        folder = job.run.member(*task.member)
        with _held(folder, progress, remote) as lost:
            if lost is None:
                held_elsewhere.append(task)
            elif _is_done(folder, progress):
                progress.finish_elsewhere(task.name)
            elif not _may_begin(task, remote):
                held_elsewhere.append(task)
            else:
                training = MemberTraining(
                    task,
                    folder,
                    pools[task.kind],
                    progress,
                    why_stop=lambda: stop.reason or ("taken over" if lost.is_set() else None),
                    on_saved=remote.push if remote else lambda folder: None,
                    unsaved=stop.unsaved,
                    tensorboard=job.tensorboard,
                    augmenting_threads=augmenting_threads(job.members_at_once),
                )
                try:
                    yield from training.steps()
                except InterruptedTrainingError:
                    if stop.reason:
                        raise
                    held_elsewhere.append(task)

    while waiting:
        held_elsewhere: list[MemberTask] = []
        for group in _groups(waiting, job.members_at_once):
            train_together(pools[group[0].kind], [member_steps(task, held_elsewhere) for task in group])
        if held_elsewhere == waiting:
            holders = (f"{task.name} by {_holder(job.run, task, remote)}" for task in waiting)
            progress.say_once(f"Waiting for members that other processes train: {', '.join(holders)}")
            _pause(stop)
        waiting = held_elsewhere


def _tasks(job: Job) -> list[MemberTask]:
    """The wanted members with their batches and validation rows, in order; a specialist's are made once."""
    experiment, faces = job.experiment, job.faces
    splits = {name: split for name, split in job.splits.items() if name in dict(job.members)}
    batches = {
        name: member_batches(experiment, name, split.training_faces(faces, job.test))
        for name, split in splits.items()
    }
    validation = {name: faces.take(split.validation) for name, split in splits.items()}
    return [
        MemberTask(
            experiment.of_member(*member),
            member,
            batches[member.specialist][member.index],
            validation[member.specialist],
            job.run.member(*start) if (start := experiment.continued(member)) else None,
        )
        for member in job.members
    ]


def _groups(tasks: Sequence[MemberTask], size: int) -> Iterator[list[MemberTask]]:
    """Tasks of one kind, up to `size` at a time, in their order."""
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
            progress.say(f"{error}; {folder.path} continues from what is here")
        try:
            yield lease.lost
        finally:
            remote.release(folder)


def _is_done(folder: MemberFolder, progress: MemberProgress) -> bool:
    """Whether a member is finished and whole; damaged files are reported and made again from the state."""
    if not is_there(folder.done):
        return False
    if damaged := damaged_files(folder):
        progress.say(f"{folder.path}: {', '.join(damaged)} damaged or missing; made again")
        for path in {folder.done, *(folder.path / name for name in damaged)}:
            if path.is_dir():  # what is no file cannot be replaced by one
                move_damaged_aside(path)
        folder.done.unlink(missing_ok=True)
    return not damaged


def _may_begin(task: MemberTask, remote: RemoteStore | None) -> bool:
    """Whether the member that this one continues is finished, if it continues one."""
    if task.start and not is_done(task.start) and remote:
        with suppress(RemoteUnreachableError):  # it may come from another machine later
            remote.pull_member(task.start)
    return task.start is None or is_done(task.start)


def _holder(run: Run, task: MemberTask, remote: RemoteStore | None) -> str:
    folder = task.start if task.start and not is_done(task.start) else run.member(*task.member)
    if here := lock_holder(folder):
        return str(here)
    return remote.holder(folder) if remote else "a process that is just ending"


def _pause(stop: StopRequest) -> None:
    """Wait for a while; a stop ends the wait at once."""
    until_s = time.monotonic() + LOOK_AGAIN_S
    while time.monotonic() < until_s:
        if stop.reason:
            raise InterruptedTrainingError(
                f"{stop.reason}: nothing was being trained; run the same command again"
            )
        time.sleep(0.2)
