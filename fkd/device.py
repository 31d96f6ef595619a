"""The accelerator: noticed by the driver, it must be noticed by the framework too."""

import os
import shutil
import subprocess

import keras

from fkd.errors import UserError


def prepare_device(deterministic: bool) -> str:
    """Describe the device that will train, and make its rounding repeatable where that is asked for.

    Raises UserError as `require_visible_gpu` does, and where a framework cannot promise determinism.
    """
    device = require_visible_gpu()
    if deterministic:
        _make_deterministic()
    return device


def require_visible_gpu() -> str:
    """Describe the device that will train; raises UserError if the driver shows a GPU and Keras does not.

    Hiding the GPU with CUDA_VISIBLE_DEVICES=-1 trains on the CPU on purpose.
    """
    gpus = visible_gpus()
    backend = keras.backend.backend()
    if gpus:
        return f"{len(gpus)} GPU(s) through {backend}"
    hidden_on_purpose = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if (names := gpus_of_the_driver()) and not hidden_on_purpose:
        raise UserError(
            f"the driver shows a GPU ({names[0]}) and {backend} does not: install requirements-gpu.txt "
            "(make: rm -r .venv and start again), or set CUDA_VISIBLE_DEVICES=-1 to train on the CPU"
        )
    return f"{os.cpu_count()} CPU cores through {backend}"


def _make_deterministic() -> None:
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"training.deterministic: expected the TensorFlow backend, received {keras.backend.backend()}; "
            "set it to false or unset KERAS_BACKEND"
        )
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def visible_gpus() -> list[str]:
    """GPUs that the Keras backend can use."""
    return [device for device in keras.distribution.list_devices() if device.lower().startswith("gpu")]


def gpus_of_the_driver() -> list[str]:
    """GPUs that nvidia-smi lists, one line each; none where there is no driver."""
    if not (command := shutil.which("nvidia-smi")):
        return []
    listing = subprocess.run([command, "-L"], capture_output=True, text=True, check=False)
    return [line for line in listing.stdout.splitlines() if line.startswith("GPU ")]
