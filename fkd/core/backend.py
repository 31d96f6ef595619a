"""The framework under Keras, looked at before Keras chooses it."""

import json
import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from fkd.core.errors import UserError

_BACKENDS = ("tensorflow", "jax", "torch")


def wanted_backend() -> tuple[str, str]:
    """The backend that KERAS_BACKEND or Keras' own file names, else one that is installed; and why."""
    if backend := os.environ.get("KERAS_BACKEND"):
        return backend, "as KERAS_BACKEND asks"
    installed = list(filter(find_spec, _BACKENDS)) or [_BACKENDS[0]]
    with suppress(OSError, ValueError, AttributeError):  # Keras passes over a damaged file, too
        backend = json.loads(_keras_file().read_text()).get("backend")
        if backend and backend != installed[0]:  # Keras itself writes the usual one
            return backend, f"as {_keras_file()} asks"
    return installed[0], "the only backend installed" if len(installed) == 1 else "the usual backend"


def require_backend() -> None:
    """Raise UserError where the backend that Keras is told to take is not installed or cannot train."""
    backend, _ = wanted_backend()
    if backend not in _BACKENDS or not find_spec(backend):
        installed = [name for name in _BACKENDS if find_spec(name)]
        raise UserError(
            f"KERAS_BACKEND or {_keras_file()}: expected a backend that is installed and can train "
            f"({', '.join(installed)}), received {backend}; set KERAS_BACKEND to one of these"
        )


def _keras_file() -> Path:
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
