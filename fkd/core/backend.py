"""The framework under Keras, looked at before Keras chooses it."""

import json
import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from fkd.core.errors import UserError

_BACKENDS = ("tensorflow", "jax", "torch")


def wanted_backend() -> str:
    """The backend that KERAS_BACKEND or Keras' own file names; without either, one that is installed."""
    backend = os.environ.get("KERAS_BACKEND")
    with suppress(OSError, ValueError, AttributeError):  # Keras passes over a damaged file, too
        backend = backend or json.loads(_keras_file().read_text()).get("backend")
    return backend or next(filter(find_spec, _BACKENDS), _BACKENDS[0])


def require_backend() -> None:
    """Raise UserError where the backend that Keras is told to take is not installed or cannot train."""
    backend = wanted_backend()
    if backend not in _BACKENDS or not find_spec(backend):
        installed = [name for name in _BACKENDS if find_spec(name)]
        raise UserError(
            f"KERAS_BACKEND or {_keras_file()}: expected a backend that is installed and can train "
            f"({', '.join(installed)}), received {backend}; set KERAS_BACKEND to one of these"
        )


def _keras_file() -> Path:
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
