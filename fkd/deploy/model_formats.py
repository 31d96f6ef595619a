"""The formats in which an ensemble is exported: how each is written, read again and used."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.lean_keras import keras
from fkd.ensemble.graph_file import ONNX_PACKAGES, open_onnx, write_onnx

Images = npt.NDArray[np.uint8]  # (n, 96, 96)
Predict = Callable[[Images], npt.NDArray[np.floating]]  # (n, points, 2) pixels


@dataclass(frozen=True)
class Format:
    """A way to write a model, and to use it without fkd.

    write: takes the model, the file, and faces like those that it will see. packages: what it needs beyond
    fkd's own. usage: the lines of Python that make `points_px` of `face`. tolerance_px: how far the points
    that it gives may be from fkd's own.
    """

    file: str
    write: Callable[[keras.Model, Path, Images], None]
    read: Callable[[Path], Predict]
    usage: tuple[str, str, str]
    packages: tuple[str, ...] = ()
    tolerance_px: float = 1e-3


def _write_keras(model: keras.Model, path: Path, faces: Images) -> None:
    model.save(path)


def _read_keras(path: Path) -> Predict:
    model = keras.models.load_model(path)
    return lambda images: model.predict_on_batch(images)


def _write_saved_model(model: keras.Model, path: Path, faces: Images) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _read_saved_model(path: Path) -> Predict:
    import tensorflow as tf

    model = tf.saved_model.load(path)
    return lambda images: model.serve(images).numpy()


def _write_onnx(model: keras.Model, path: Path, faces: Images) -> None:
    write_onnx(model, path)


def _write_int8(model: keras.Model, path: Path, faces: Images) -> None:
    """Weights and activations in 8 bits, whose ranges are those that the faces have."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    parts = iter(np.array_split(faces, len(faces)))

    class Shown(quantization.CalibrationDataReader):
        def get_next(self) -> dict[str, Images] | None:
            face = next(parts, None)
            return None if face is None else {"images": face}

    with tempfile.TemporaryDirectory() as folder:
        exact, prepared = Path(folder) / "exact.onnx", Path(folder) / "prepared.onnx"
        write_onnx(model, exact)
        quant_pre_process(exact, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            path,
            Shown(),
            op_types_to_quantize=["Conv", "MatMul", "Gemm", "Add", "Relu", "MaxPool", "Resize"],
            per_channel=True,
            reduce_range=True,  # 7 bits a weight: processors without VNNI would overflow with 8
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def _read_onnx(path: Path) -> Predict:
    session = open_onnx(path)
    return lambda images: session.run(None, {"images": images})[0]


def _onnx_usage(file: str) -> tuple[str, str, str]:
    return (
        "import onnxruntime",
        f'session = onnxruntime.InferenceSession("{file}")',
        'points_px = session.run(None, {"images": face[np.newaxis]})[0][0]',
    )


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
        _onnx_usage("ensemble.onnx"),
        ONNX_PACKAGES,
    ),
    # A quarter of the size and a third of the time.
    "onnx-int8": Format(
        "ensemble-int8.onnx",
        _write_int8,
        _read_onnx,
        _onnx_usage("ensemble-int8.onnx"),
        ONNX_PACKAGES,
        tolerance_px=2.0,
    ),
}


def require_packages(formats: Sequence[str]) -> None:
    for name in formats:
        if missing := [package for package in FORMATS[name].packages if find_spec(package) is None]:
            raise UserError(
                f"--format {name}: expected its packages to be installed, received none called "
                f"{', '.join(missing)}; run `make onnx`, or choose another format"
            )
