"""Everything that a training run needs to go on exactly, in one atomic file.

The file is an .npz without pickles: the network's variables (seed generators included), the optimiser's,
the running metrics', the counters and history as JSON text, and a checksum over all of it.
"""

import dataclasses
import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from fkd.errors import UserError
from fkd.store import MemberFolder, atomic_write_bytes

Arrays = dict[str, npt.NDArray[Any]]


@dataclass
class TrainingState:
    """Where the training of a member stands, besides its variables.

    epoch and best_epoch count finished epochs, so 0 means none. history holds one record an epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_rmse_px: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)


def save_state(folder: MemberFolder, model: keras.Model, state: TrainingState) -> None:
    """Write the state whole or not at all; the one before it is kept."""
    arrays: Arrays = {
        f"{owner}.{number:04d}": keras.ops.convert_to_numpy(variable)
        for owner, variables in _variables(model).items()
        for number, variable in enumerate(variables)
    }
    arrays["counters"] = np.array(json.dumps(dataclasses.asdict(state)))
    arrays["checksum"] = np.array(_checksum(arrays))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    if folder.state.exists():
        folder.state.replace(folder.previous_state)
    atomic_write_bytes(folder.state, buffer.getvalue())


def load_state(folder: MemberFolder, model: keras.Model, say: Callable[[str], None]) -> TrainingState:
    """Put the newest readable state into the model and return its counters; a fresh one if there is none.

    A damaged state is said and passed over in favour of the one before it. Raises UserError when a state
    belongs to another network.
    """
    for path in (folder.state, folder.previous_state):
        if not path.exists():
            continue
        try:
            arrays = _read(path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            say(f"{path}: damaged ({error}); going on from the state before it")
            continue
        _assign(model, arrays, path)
        return TrainingState(**json.loads(str(arrays["counters"])))
    return TrainingState()


def _variables(model: keras.Model) -> dict[str, list[keras.Variable]]:
    return {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }


def _read(path: Path) -> Arrays:
    # Opened here, because np.load leaves a damaged file open.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    expected = str(arrays.pop("checksum"))
    if _checksum(arrays) != expected:
        raise ValueError("its checksum does not match")
    return arrays


def _checksum(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _assign(model: keras.Model, arrays: Arrays, path: Path) -> None:
    for owner, variables in _variables(model).items():
        stored = [arrays[name] for name in sorted(arrays) if name.startswith(f"{owner}.")]
        if [array.shape for array in stored] != [tuple(variable.shape) for variable in variables]:
            raise UserError(
                f"{path}: expected the state of this experiment's network, received one of another shape; "
                "move the run aside with --fresh (make: FRESH=1)"
            )
        for variable, array in zip(variables, stored, strict=True):
            variable.assign(array)
