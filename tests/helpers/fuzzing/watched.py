"""A call of fkd in a process that is watched: what it says, how it ends, what memory and time it takes."""

import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from command_line import start_prepared

MOST_BYTES = 2 * 2**30
MOST_S = 60.0
# A process that computes nothing for so long waits for something that does not come.
IDLE_S = 10.0
# A training that is asked to stop has to save and end within so many seconds.
STOP_S = 10.0

_POLL_S = 0.05
_GROUP_S = 1.0  # reading all of /proc takes longer
_KIB = 1024
_CPU, _STATE, _GROUP = (11, 12), 0, 2  # fields of /proc/PID/stat after the name in brackets
# multiprocessing keeps its children in a set that only one thread at a time may change.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """How a call ended; `status` is None where it was killed, `broken` then says which limit it broke."""

    status: int | None
    output: str
    complaint: str
    broken: str | None = None
    seconds: float = 0.0

    @property
    def lines(self) -> list[str]:
        """All that it said."""
        return [*self.output.splitlines(), *self.complaint.splitlines()]


def watched_fkd(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    stop_after_s: float | None = None,
    stop_after_batches: int | None = None,
) -> Outcome:
    """Run fkd within the limits on memory and time; everything it started is killed with it.

    stop_after_s: a SIGTERM is sent then, and heard within STOP_S. stop_after_batches: the process sends one
    to itself after so many batches of training.
    """
    first: Callable[[], None] = lead_a_group
    if stop_after_batches is not None:
        first = partial(_stop_after, stop_after_batches)
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as complaint:
        started_s = time.monotonic()
        with _ONE_AT_A_TIME:
            process = start_prepared(arguments, folder, environment, output, complaint, first)
        broken = _watch(process, started_s, stop_after_s)
        _kill_group(process)
        with _ONE_AT_A_TIME:
            process.join()
        said = []
        for stream in (output, complaint):
            stream.seek(0)
            said.append(stream.buffer.read().decode(errors="backslashreplace"))
    seconds = time.monotonic() - started_s
    return Outcome(None if broken else process.exitcode, *said, broken, seconds)


def lead_a_group() -> None:
    """Let the processes that this one starts be found by its number; its temporary files are its own."""
    os.setpgid(0, 0)
    tempfile.tempdir = None  # as TMPDIR says, not as the process said that was forked
    # TensorFlow's generated code would leave its bytecode among the temporary files.
    sys.dont_write_bytecode = True


def _stop_after(batches: int) -> None:
    """Send this process a SIGTERM once it has trained so many batches."""
    from fkd.runs.progress import Progress

    lead_a_group()
    trained, report = [], Progress.batch

    def batch(*arguments: object) -> None:
        report(*arguments)
        trained.append(arguments)
        if len(trained) == batches:
            signal.raise_signal(signal.SIGTERM)

    Progress.batch = batch


def _watch(process: BaseProcess, started_s: float, stop_after_s: float | None) -> str | None:
    """Wait for the end; the limit that is broken before, in words."""
    worked_s, computed, looked_s, stopped_s = started_s, -1, started_s, None
    while not wait([process.sentinel], _POLL_S):
        now_s = time.monotonic()
        if (received := _peak_bytes(process.pid)) > MOST_BYTES:
            return f"memory: {received / 2**30:.1f} GiB, at most {MOST_BYTES / 2**30:g}"
        if stopped_s is None and stop_after_s is not None and now_s - started_s > stop_after_s:
            os.kill(process.pid, signal.SIGTERM)
            stopped_s = now_s
        if stopped_s is not None and now_s - stopped_s > STOP_S * _slowness():
            return f"deaf: goes on {STOP_S:g} s after SIGTERM"
        if now_s - looked_s > _GROUP_S:
            looked_s = now_s
            ticks = _group_ticks(process.pid)
            if ticks != computed:
                computed, worked_s = ticks, now_s
            if now_s - worked_s > IDLE_S * _slowness():
                return f"hangs: computes nothing for {IDLE_S:g} s"
        if now_s - started_s > MOST_S * _slowness():
            return f"time: more than {MOST_S:g} s"
    return None


def _slowness() -> float:
    """How many times longer everything takes, because others compute here too."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _peak_bytes(pid: int) -> int:
    """The most memory that a process has had; 0 where it is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * _KIB if found else 0


def _group_ticks(leader: int) -> int:
    """What all processes of a group have computed; another number, too, while one is ready to compute."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[_GROUP]) == leader:
            ticks += sum(int(fields[number]) for number in _CPU)
            if fields[_STATE] in "RDT":  # ready, reading a disk, or halted by somebody
                return -time.monotonic_ns()
    return ticks


def _kill_group(process: BaseProcess) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
