"""Running fkd as a person would, and reading what a run left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Protocol

import h5py
import numpy as np
import pandas as pd
import pytest

# Read when a framework is loaded, so a call with one of its own starts from nothing.
_READ_AT_THE_START = ("KERAS_BACKEND", "CUDA_VISIBLE_DEVICES", "XLA_FLAGS")
_BACKEND = {name: os.environ.get(name) for name in _READ_AT_THE_START}


def command(*arguments: object) -> list[str]:
    """The words of a call of fkd."""
    return [sys.executable, "-m", "fkd", *map(str, arguments)]


class Running:
    """A call of fkd that has begun in a prepared process, used as one uses a subprocess.Popen.

    output: where it prints and complains; without it `stdout` gives what it prints, and `communicate`
    what it complains of besides.
    """

    def __init__(self, *arguments: object, folder: Path | None = None, output: IO[str] | None = None):
        self._complaint = output or tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `communicate`)
        receiver, sender = multiprocessing.Pipe(duplex=False)
        with receiver, sender:
            self.stdout = os.fdopen(os.dup(receiver.fileno()))
            self._process = start_prepared(
                arguments, folder or Path.cwd(), os.environ, output or sender, self._complaint
            )

    @property
    def returncode(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(self._process.pid, number)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit status, None after a timeout; what it printed is lost."""
        with self.stdout:
            self._process.join(timeout_s)
        return self._process.exitcode

    def communicate(self) -> tuple[str, str]:
        """What it prints from here to its end, and what it complained of."""
        printed = self.stdout.read()
        self.wait()
        with self._complaint:
            self._complaint.seek(0)
            return printed, self._complaint.read()


def fkd(*arguments: object, status: int = 0, folder: Path | None = None) -> str:
    """Run fkd in a folder and check its exit status; returns what it printed, or its complaint."""
    if {name: os.environ.get(name) for name in _READ_AT_THE_START} != _BACKEND:
        done = subprocess.run(command(*arguments), check=False, cwd=folder, capture_output=True, text=True)
        received, printed, complaint = done.returncode, done.stdout, done.stderr
    else:
        running = Running(*arguments, folder=folder)
        printed, complaint = running.communicate()
        received = running.returncode or 0
    assert received == status, complaint + printed
    assert "Traceback" not in complaint, complaint
    return printed if status == 0 else complaint


class _Stream(Protocol):
    def fileno(self) -> int: ...


def start_prepared(
    arguments: Sequence[object],
    folder: Path,
    environment: Mapping[str, str],
    output: _Stream,
    complaint: _Stream,
    first: Callable[[], None] | None = None,
) -> BaseProcess:
    """Begin a call of fkd in a process that has everything imported; `first` is called in it before."""
    streams = [Connection(os.dup(stream.fileno()), readable=False) for stream in (output, complaint)]
    life = (["fkd", *map(str, arguments)], folder, dict(environment), streams, first)
    process = _prepared().Process(target=_be_fkd, args=life)
    process.start()
    for stream in streams:
        stream.close()
    return process


@cache
def _prepared() -> ForkServerContext:
    """Its processes begin with everything imported: starting TensorFlow takes longer than most commands."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["prepared", __name__])
    # Before Python 3.13 the server is not told where modules are, and does without those it cannot find.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


def _be_fkd(
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    streams: list[Connection],
    first: Callable[[], None] | None,
) -> None:
    """The whole life of a prepared process."""
    assert "fkd.cli" in sys.modules, "the process was not prepared"
    from fkd.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115 (to the end)
    sys.argv = arguments
    if first:
        first()
    main()


def read_results(run: Path) -> dict[str, np.ndarray]:
    """Every array of a run's states, best weights and validation predictions, and the histories."""
    results: dict[str, np.ndarray] = {}
    for path in sorted(run.glob("*/*/*")):
        name = str(path.relative_to(run))
        results |= {f"{name}{key}": array for key, array in read_arrays(path).items()}
    return results


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of one of these files, by `/name` where it has several; none of another file."""
    if path.name == "state.npz":
        with np.load(path, allow_pickle=False) as file:
            return {f"/{key}": file[key] for key in file.files if key not in ("counters", "checksum")}
    if path.name == "validation.npy":
        return {"": np.load(path, allow_pickle=False)}
    if path.name == "best.weights.h5":
        with h5py.File(path) as file:
            keys: list[str] = []
            file.visit(keys.append)
            return {f"/{key}": file[key][()] for key in keys if isinstance(file[key], h5py.Dataset)}
    if path.name == "history.csv":
        return {"": pd.read_csv(path).drop(columns=["seconds", "training_seconds"]).to_numpy()}
    return {}


def assert_same_results(run: Path, expected: dict[str, np.ndarray]) -> None:
    """Bit for bit."""
    results = read_results(run)
    assert results.keys() == expected.keys(), f"{run}: {results.keys() ^ expected.keys()}"
    for name, array in expected.items():
        np.testing.assert_array_equal(results[name], array, err_msg=f"{run}/{name}")
