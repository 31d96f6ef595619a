"""One process at a time trains a member: a lock that the kernel gives back when its holder dies."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from filelock import FileLock, Timeout

from fkd.core.files import read_regular
from fkd.experiment.store import MemberFolder, Run

_MOST_BYTES = 1000
_PIDS = 2**31  # os.kill takes no others, and those below 1 are not one process


@dataclass(frozen=True)
class Holder:
    """The process that trains a member."""

    host: str
    pid: int

    @property
    def may_be_alive(self) -> bool:
        """False if the process is known to be dead; of another host nothing is known."""
        return self.host != socket.gethostname() or not process_is_dead(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@contextmanager
def member_lock(folder: MemberFolder) -> Iterator[bool]:
    """Hold a member for as long as the context is open; False if another process holds it."""
    folder.path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.lock)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        folder.lock.write_text(f"{socket.gethostname()} {os.getpid()}\n")
        yield True
    finally:
        with suppress(OSError):  # the folder may have been removed
            folder.lock.write_text("")
        lock.release()


def lock_holder(folder: MemberFolder) -> Holder | None:
    """Who holds a member, as far as its lock file tells; None if nobody does."""
    try:
        host, pid = read_regular(folder.lock, _MOST_BYTES).decode().split()
        holder = Holder(host, int(pid))
    except (FileNotFoundError, ValueError):  # what no holder wrote
        return None
    return holder if 0 < holder.pid < _PIDS and holder.may_be_alive else None


def members_in_training(run: Run) -> list[str]:
    """Names of the members that a process holds, as far as their lock files tell; reads nothing else."""
    folders = [MemberFolder(lock.parent) for lock in sorted(run.path.glob("*/*/lock.txt"))]
    return [folder.name for folder in folders if lock_holder(folder)]


def process_is_dead(pid: int) -> bool:
    """Whether no process of this machine has the pid."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's process
        return False
    return False
