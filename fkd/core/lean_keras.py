"""Keras, which every module takes from here: it starts in two thirds of the time.

Keras loads scikit-learn and TensorFlow loads JAX where they are installed; fkd needs neither of them there.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fkd.core.backend import wanted_backend

__all__ = ["WHY_THIS_BACKEND", "keras", "ops"]


@contextmanager
def not_loaded(*packages: str) -> Iterator[None]:
    """Let packages that are not loaded yet look as if they were not installed."""
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # it makes an import fail
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


# TensorFlow's start-up notes are of no use to the person at the terminal or the notebook.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_backend, WHY_THIS_BACKEND = wanted_backend()
os.environ["KERAS_BACKEND"] = _backend
with not_loaded("sklearn", *{"jax"} - {_backend}):
    import keras
    from keras import ops
