"""The formats in which an ensemble is exported: how each is written, read again and used."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.keypoints import IMAGE_SIZE_PX

Images = npt.NDArray[np.uint8]  # (n, 96, 96)
Predict = Callable[[Images], npt.NDArray[np.floating]]  # (n, points, 2) pixels


@dataclass(frozen=True)
class Format:
    """A way to write a model, and to use it without fkd.

    packages: what it needs beyond fkd's own. usage: the lines of Python that make `points_px` of `face`.
    """

    file: str
    write: Callable[[keras.Model, Path], None]
    read: Callable[[Path], Predict]
    usage: tuple[str, str, str]
    packages: tuple[str, ...] = ()


def _write_keras(model: keras.Model, path: Path) -> None:
    model.save(path)


def _read_keras(path: Path) -> Predict:
    model = keras.models.load_model(path)
    return lambda images: model.predict_on_batch(images)


def _write_saved_model(model: keras.Model, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _read_saved_model(path: Path) -> Predict:
    import tensorflow as tf

    model = tf.saved_model.load(path)
    return lambda images: model.serve(images).numpy()


def _write_onnx(model: keras.Model, path: Path) -> None:
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it cannot convert, the reader refuses
    model(np.zeros((1, IMAGE_SIZE_PX, IMAGE_SIZE_PX), np.uint8))  # Keras converts only what was called
    with warnings.catch_warnings(action="ignore"):  # of the converter, about NumPy
        model.export(path, format="onnx", verbose=False)


def _read_onnx(path: Path) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


FORMATS: Mapping[str, Format] = {
    "keras": Format(
        "ensemble.keras",
        _write_keras,
        _read_keras,
        (
            "import keras",
            'model = keras.models.load_model("ensemble.keras")',
            "points_px = model.predict(face[np.newaxis], verbose=0)[0]",
        ),
    ),
    "savedmodel": Format(
        "savedmodel",
        _write_saved_model,
        _read_saved_model,
        (
            "import tensorflow as tf",
            'model = tf.saved_model.load("savedmodel")',
            "points_px = model.serve(face[np.newaxis]).numpy()[0]",
        ),
    ),
    "onnx": Format(
        "ensemble.onnx",
        _write_onnx,
        _read_onnx,
        (
            "import onnxruntime",
            'session = onnxruntime.InferenceSession("ensemble.onnx")',
            'points_px = session.run(None, {"images": face[np.newaxis]})[0][0]',
        ),
        packages=("onnx", "onnxruntime", "tf2onnx"),
    ),
}


def require_packages(formats: Sequence[str]) -> None:
    for name in formats:
        if missing := [package for package in FORMATS[name].packages if find_spec(package) is None]:
            raise UserError(
                f"--format {name}: expected its packages to be installed, received none called "
                f"{', '.join(missing)}; run `make onnx`, or choose another format"
            )
