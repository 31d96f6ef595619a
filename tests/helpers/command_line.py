"""Running fkd as a person would, and reading what a run left behind."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd


def command(*arguments: object) -> list[str]:
    """The words of a call of fkd."""
    return [sys.executable, "-m", "fkd", *map(str, arguments)]


def fkd(*arguments: object, status: int = 0, folder: Path | None = None) -> str:
    """Run fkd in a folder and check its exit status; returns what it printed, or its complaint."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == status, done.stderr + done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout if status == 0 else done.stderr


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
