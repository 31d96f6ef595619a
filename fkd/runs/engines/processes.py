"""Members trained side by side in processes of this machine, each with its share of cores and GPU memory."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess

from fkd.core.errors import UserError
from fkd.core.interrupt import EXIT_INTERRUPTED, InterruptedTrainingError, StopRequest, stop_on_signals
from fkd.runs.engines.relay import Relay, show
from fkd.runs.job import Job
from fkd.training.progress import MemberProgress

_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Share:
    """A process' part of the machine: threads, and which GPU and how much of its memory (1 for all)."""

    cpus: int
    gpu: str | None = None
    gpu_memory: float = 1.0


def shares(processes: int, cpus: int | None, cores: int, gpus: list[str]) -> list[Share]:
    """The machine's part for each of the processes.

    cpus: threads that each is to have, None for the cores divided among them. gpus: what CUDA calls the
    devices; processes take them in turn and share them where they are fewer.
    """
    on_one_gpu = -(-processes // len(gpus)) if gpus else 1
    threads = cpus or max(1, cores // processes)
    return [Share(threads, gpus[i % len(gpus)] if gpus else None, 1 / on_one_gpu) for i in range(processes)]


def train_in_processes(job: Job, parts: list[Share], progress: MemberProgress, stop: StopRequest) -> None:
    """Train until every member is done; each process takes the next that no other holds.

    A process that is killed leaves its member to the others. Raises UserError where one fails or all are
    killed, and InterruptedTrainingError when a stop is asked for, after all have saved.
    """
    context = _context(parts)
    crew: dict[Connection, BaseProcess] = {}
    for share in parts:
        ours, theirs = context.Pipe()
        process = context.Process(target=_process_main, args=(share, theirs), daemon=True)
        process.start()
        theirs.close()
        crew[ours] = process
    for connection in crew:  # a process takes it when it has loaded what it needs
        with suppress(OSError):
            connection.send(job)
    failure = _follow(crew, progress, lambda: stop.reason)
    if failure:
        raise UserError(failure)
    if stop.reason:
        raise InterruptedTrainingError(
            f"{stop.reason}: every member is saved; run the same command again to resume"
        )


def _context(parts: list[Share]) -> ForkServerContext | SpawnContext:
    """How processes start: forked from one that has loaded what all need, so they start sooner and share it.

    On a GPU each must hear which is its own before it loads anything, and JAX starts threads that a fork
    would lose: there each loads all for itself.
    """
    from fkd.core.lean_keras import keras

    on_gpus = any(part.gpu is not None for part in parts)
    if on_gpus or keras.backend.backend() != "tensorflow" or sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fkd.runs.members"])
    return context


def _follow(
    crew: dict[Connection, BaseProcess], progress: MemberProgress, why_stop: Callable[[], str | None]
) -> str | None:
    """Show what the processes tell until all have ended; returns why the training failed, if it did."""
    failure, stopped, killed = None, False, ""
    while crew:
        for connection in wait(list(crew), _LOOK_EVERY_S):
            assert isinstance(connection, Connection)
            try:
                message = connection.recv()
            except (EOFError, OSError):
                process = crew.pop(connection)
                process.join()
                killed = _killed_by(process)
                if killed and not why_stop():
                    progress.say(f"A training process was ended by {killed}; the others take over its member")
                elif process.exitcode not in (0, EXIT_INTERRUPTED) and not killed:
                    failure = failure or "a training process failed as reported above; the others have saved"
                continue
            if isinstance(message, str):
                failure = failure or message
            else:
                show(progress, message)
        if (failure or why_stop()) and not stopped:
            stopped = True
            for process in crew.values():
                process.terminate()
    if killed and not failure and not why_stop():
        return f"the last training process was ended by {killed}, too; --jobs with fewer needs less memory"
    return failure


def _killed_by(process: BaseProcess) -> str:
    """The signal that ended a process; nothing where it ended by itself."""
    code = process.exitcode or 0
    return signal.Signals(-code).name if code < 0 else ""


def _process_main(share: Share, pipe: Connection) -> None:
    """The whole life of a training process; `pipe` brings its job and takes what it tells."""
    if share.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = share.gpu
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 * share.gpu_memory:.3f}"

    def send(message: object) -> None:
        with suppress(OSError):  # with nobody left to show it, the training continues until it has saved
            pipe.send(message)

    with stop_on_signals() as stop:
        _stop_without_parent(stop)
        from fkd.runs.members import train_in_own_process
        from fkd.training.device import take_share  # loads Keras, which reads the variables

        try:
            job = pipe.recv()
        except (EOFError, OSError):  # who started this one is gone
            raise SystemExit(EXIT_INTERRUPTED) from None
        try:
            take_share(share.cpus, share.gpu_memory)
            train_in_own_process(job, Relay(send), stop)
        except UserError as error:
            send(str(error))
        except InterruptedTrainingError:
            raise SystemExit(EXIT_INTERRUPTED) from None


def _stop_without_parent(stop: StopRequest) -> None:
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            wait([parent.sentinel])
            stop.stop("the process that started this one is gone")
            os.kill(os.getpid(), signal.SIGTERM)  # to be heard as soon

    threading.Thread(target=watch, name="parent", daemon=True).start()
