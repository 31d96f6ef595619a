"""Running fkd as a person would, and reading what a run left behind."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import h5py
import numpy as np
import pandas as pd

# Its processes begin with everything imported: starting TensorFlow takes longer than most commands.
_PREPARED = multiprocessing.get_context("forkserver")
_PREPARED.set_forkserver_preload(["prepared"])
# Read when a framework is loaded, so a call with one of its own starts from nothing.
_READ_AT_THE_START = ("KERAS_BACKEND", "CUDA_VISIBLE_DEVICES", "XLA_FLAGS")
_BACKEND = {name: os.environ.get(name) for name in _READ_AT_THE_START}


def command(*arguments: object) -> list[str]:
    """The words of a call of fkd."""
    return [sys.executable, "-m", "fkd", *map(str, arguments)]


def fkd(*arguments: object, status: int = 0, folder: Path | None = None) -> str:
    """Run fkd in a folder and check its exit status; returns what it printed, or its complaint."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as complaint:
        received = _run(command(*arguments), folder or Path.cwd(), output, complaint)
        output.seek(0)
        complaint.seek(0)
        printed, complained = output.read(), complaint.read()
    assert received == status, complained + printed
    assert "Traceback" not in complained, complained
    return printed if status == 0 else complained


def _run(call: list[str], folder: Path, output: IO[str], complaint: IO[str]) -> int:
    """The exit status of a call in a process of its own."""
    if {name: os.environ.get(name) for name in _READ_AT_THE_START} != _BACKEND:
        return subprocess.run(call, check=False, cwd=folder, stdout=output, stderr=complaint).returncode
    streams = [multiprocessing.reduction.DupFd(stream.fileno()) for stream in (output, complaint)]
    process = _PREPARED.Process(target=_be_fkd, args=(call[2:], folder, dict(os.environ), streams))
    process.start()
    process.join()
    return process.exitcode or 0


def _be_fkd(arguments: list[str], folder: Path, environment: dict[str, str], streams: list) -> None:
    """The whole life of a prepared process."""
    from fkd.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream.detach(), number)
    sys.argv = arguments
    main()


def read_results(run: Path) -> dict[str, np.ndarray]:
    """Every array of a run's states, best weights and validation predictions, and the histories."""
    results: dict[str, np.ndarray] = {}
    for path in sorted(run.glob("*/*/*")):
        name = str(path.relative_to(run))
        if path.name == "state.npz":
            with np.load(path, allow_pickle=False) as file:
                wanted = [key for key in file.files if key not in ("counters", "checksum")]
                results |= {f"{name}/{key}": file[key] for key in wanted}
        elif path.name == "validation.npy":
            results[name] = np.load(path, allow_pickle=False)
        elif path.name == "best.weights.h5":
            with h5py.File(path) as file:
                keys: list[str] = []
                file.visit(keys.append)
                datasets = [key for key in keys if isinstance(file[key], h5py.Dataset)]
                results |= {f"{name}/{key}": file[key][()] for key in datasets}
        elif path.name == "history.csv":
            results[name] = pd.read_csv(path).drop(columns=["seconds", "training_seconds"]).to_numpy()
    return results


def assert_same_results(run: Path, expected: dict[str, np.ndarray]) -> None:
    """Bit for bit."""
    results = read_results(run)
    assert results.keys() == expected.keys(), f"{run}: {results.keys() ^ expected.keys()}"
    for name, array in expected.items():
        np.testing.assert_array_equal(results[name], array, err_msg=f"{run}/{name}")
