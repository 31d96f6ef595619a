"""Everything that a training run needs to resume exactly, in one atomic file.

The file is an .npz without pickles: the network's variables (seed generators included), the optimizer's, the
best weights so far, the counters and history as JSON text, and a checksum over all of it. The state before
it is kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.files import atomic_write_bytes, is_there, keep_previous, move_damaged_aside, open_regular
from fkd.core.say import Say
from fkd.experiment.store import MemberFolder

if TYPE_CHECKING:
    from fkd.core.lean_keras import keras

Arrays = dict[str, npt.NDArray[Any]]

# The array that says whose state it is; those of earlier versions have none.
_MEMBER = "member"


@dataclass
class TrainingState:
    """Where the training of a member stands, besides its variables.

    epoch and best_epoch count finished epochs, so 0 means none; batch counts the finished batches of the
    current epoch, epoch_seconds and epoch_images what it took so far, epoch_sums the loss and the metrics
    summed over these images (Keras forgets them with every batch). history holds one record an epoch.
    best_weights are the network's weights after best_epoch. saving_seconds is the time spent on writing
    states.
    """

    epoch: int = 0
    batch: int = 0
    best_epoch: int = 0
    best_rmse_px: float = math.inf
    epoch_seconds: float = 0.0
    epoch_images: int = 0
    epoch_sums: dict[str, float] = field(default_factory=dict)
    saving_seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_weights: list[npt.NDArray[Any]] = field(default_factory=list)

    def epoch_mean(self, name: str) -> float:
        """The mean of the loss or of a metric over the images of the current epoch."""
        return self.epoch_sums[name] / self.epoch_images


def save_state(folder: MemberFolder, model: keras.Model, state: TrainingState) -> None:
    """Write the state whole or not at all; the one before it is kept. Adds to `state.saving_seconds`."""
    from fkd.core.lean_keras import keras  # slow to load, and reading a state does without it

    started_s = time.monotonic()
    arrays: Arrays = {
        f"{owner}.{number:04d}": keras.ops.convert_to_numpy(variable)
        for owner, variables in _variables(model).items()
        for number, variable in enumerate(variables)
    }
    arrays |= {f"best.{number:04d}": weight for number, weight in enumerate(state.best_weights)}
    counters = asdict(state)
    del counters["best_weights"]
    arrays["counters"] = np.array(json.dumps(counters))
    arrays[_MEMBER] = np.array(folder.name)
    arrays["checksum"] = np.array(_checksum(arrays))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    keep_previous(folder.state, folder.previous_state)
    atomic_write_bytes(folder.state, buffer.getvalue())
    state.saving_seconds += time.monotonic() - started_s


def load_state(folder: MemberFolder, model: keras.Model, say: Say) -> TrainingState:
    """Put the newest readable state into the model and return its counters; a fresh one if there is none.

    A damaged state is reported, moved aside and replaced by the one before it; a lack of both is reported
    and the member starts again. Raises UserError when a state belongs to another network.
    """
    damaged = False
    for path in (folder.state, folder.previous_state):
        if not is_there(path):
            continue
        try:
            arrays, state = _read_own(folder, path)
        except ValueError as error:
            say(f"{path}: damaged ({error}); moved aside to {move_damaged_aside(path).name}")
            damaged = True
            continue
        _assign(model, arrays, path)
        return state
    if damaged:
        say(f"{folder.path}: no whole state is left; this member starts again from its first epoch")
    return TrainingState()


def saved_history(folder: MemberFolder) -> list[dict[str, float]]:
    """The epochs of the newest readable state; none without one."""
    for path in (folder.state, folder.previous_state):
        try:
            return _read_own(folder, path)[1].history
        except (FileNotFoundError, ValueError):
            continue
    return []


def read_state(path: Path) -> tuple[Arrays, TrainingState]:
    """A state file's variables by name and its counters; raises ValueError if it is damaged."""
    try:
        return _read(path)
    except OSError:
        raise
    except Exception as error:  # a damaged archive raises nearly every kind there is
        raise ValueError(f"{type(error).__name__}: {error}") from error


def position_of(path: Path) -> tuple[int, int]:
    """How far a state file stands, as (epoch, batch); raises ValueError if it is damaged."""
    _, state = read_state(path)
    return state.epoch, state.batch


def _read_own(folder: MemberFolder, path: Path) -> tuple[Arrays, TrainingState]:
    arrays, state = read_state(path)
    if (member := str(arrays.get(_MEMBER, folder.name))) != folder.name:
        raise ValueError(f"it is that of {member}")
    return arrays, state


def _read(path: Path) -> tuple[Arrays, TrainingState]:
    # Opened here, because np.load leaves a damaged file open.
    with open_regular(path) as stream, np.load(stream, allow_pickle=False) as file:
        if any(part.compress_size != part.file_size for part in file.zip.infolist()):
            raise ValueError("it is compressed")  # fkd writes none, and one may unpack to any size
        arrays = {name: file[name] for name in file.files}
    expected = str(arrays.pop("checksum"))
    if _checksum(arrays) != expected:
        raise ValueError("its checksum does not match")
    state = TrainingState(**json.loads(str(arrays.pop("counters"))))
    state.best_weights = [arrays.pop(name) for name in sorted(arrays) if name.startswith("best.")]
    return arrays, state


def _variables(model: keras.Model) -> dict[str, list[keras.Variable]]:
    return {"model": model.variables, "optimizer": model.optimizer.variables}


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
