"""The chosen ensemble as one model that needs no fkd, checked against fkd's own predictions, with a card."""

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from fkd.core.errors import UserError
from fkd.core.keypoints import CENTRE_PX, HALF_WIDTH_PX, IMAGE_SIZE_PX, MAX_GREY
from fkd.data.faces import FaceData
from fkd.ensemble.selection import SelectionReport
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run, member_name
from fkd.runs.provenance import provenance
from fkd.training.networks.build import build_model, read_points
from fkd.training.predict import predict_ensemble

CARD = "README.md"
_FACES_CHECKED = 32
_TOLERANCE_PX = 1e-3

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


def export_ensemble(
    run: Run,
    experiment: Experiment,
    reports: Sequence[SelectionReport],
    faces: FaceData,
    folder: Path,
    formats: Sequence[str] = ("keras",),
    say: Callable[[str], None] = print,
) -> None:
    """Write the chosen members' average in every format, and a card, into a folder that is made whole or not.

    formats: names in FORMATS. The experiment's `prediction` says how maps are read. Raises UserError where
    the folder holds something, a package is missing, a format cannot be written, or a written model
    differs from fkd's own predictions by more than a thousandth of a pixel.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder}: expected a new or empty folder, received one in use; name another")
    _require_packages(formats)
    if experiment.prediction.detector != "none":
        say(f"{folder}: prediction.detector={experiment.prediction.detector} stays outside; {_CROP_FIRST}")
    if experiment.prediction.views > 1:
        say(f"{folder}: prediction.views={experiment.prediction.views} stays outside; the model looks once")
    prediction = experiment.prediction.model_copy(update={"detector": "none", "views": 1})
    experiment = experiment.model_copy(update={"prediction": prediction})
    chosen = {report.specialist: report.chosen for report in reports}
    predicted = _predicted(experiment, chosen)
    if missing := _named(experiment, ~predicted):
        say(f"{folder}: no specialist predicts {', '.join(missing)}; left out of the model")

    images = (faces.test if len(faces.test.ids) else faces.training).images[:_FACES_CHECKED]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".temporary-") as place, _full_precision():
        unfinished = Path(place) / "export"
        unfinished.mkdir()
        expected_px = predict_ensemble(run, experiment, chosen, images)[:, predicted]
        model = ensemble_model(run, experiment, chosen)
        differences_px = {
            name: _write_checked(name, model, unfinished, images, expected_px)
            for name in dict.fromkeys(formats)
        }
        card = _card(run, experiment, reports, faces, differences_px, len(images))
        (unfinished / CARD).write_text(card, encoding="utf-8")
        unfinished.replace(folder)
    for name, difference_px in differences_px.items():
        say(
            f"{folder / FORMATS[name].file}: written; on {len(images)} faces at most {difference_px:.1e} px "
            "from fkd's own predictions"
        )
    say(f"{folder / CARD}: what it is, and how it is used")


def ensemble_model(run: Run, experiment: Experiment, chosen: Mapping[str, Sequence[int]]) -> keras.Model:
    """The chosen members' average as one Keras model, of nothing but what Keras itself brings.

    chosen: member numbers by specialist; a repeated number weighs double.
    Input: (batch, 96, 96) grey values as uint8; output: (batch, points, 2) pixels, x and y of the predicted
    points in schema order.
    """
    layers, network = keras.layers, experiment.network
    images = keras.Input((IMAGE_SIZE_PX, IMAGE_SIZE_PX), dtype="uint8", name="images")
    greys = layers.Rescaling(1 / MAX_GREY)(layers.Reshape((IMAGE_SIZE_PX, IMAGE_SIZE_PX, 1))(images))
    averages = dict[tuple[int, ...], list[Any]]()  # by the points; several where folds share them
    for specialist, members in chosen.items():
        points, outputs = tuple(experiment.point_indices(specialist).tolist()), {}
        for index in sorted(set(members)):
            member = build_model(network, len(points), experiment.member_seed(specialist, index))
            member.load_weights(run.member(specialist, index).best_weights)
            outputs[index] = _member_points(_of_keras_alone(member), experiment, specialist, greys)
        average = layers.Average()([outputs[index] for index in members])
        averages.setdefault(points, []).append(average)
    joined = layers.Concatenate(axis=1)([layers.Average()(folds) for folds in averages.values()])
    in_schema_order = ops.take(joined, np.argsort(np.concatenate(list(averages))).tolist(), axis=1)
    return keras.Model(images, layers.Rescaling(HALF_WIDTH_PX, CENTRE_PX)(in_schema_order), name="ensemble")


def _member_points(member: keras.Model, experiment: Experiment, specialist: str, greys: Any) -> Any:
    """A member's points in [-1, 1] as the experiment's `prediction` asks, shape (batch, points, 2)."""

    def read(pictures: Any) -> Any:
        coordinates = read_points(experiment.network, member(pictures), experiment.prediction.peaks)
        return keras.layers.Reshape((-1, 2))(coordinates)

    if not experiment.prediction.mirrored:
        return read(greys)
    twins = experiment.twin_positions(specialist)
    mirrored = ops.take(read(ops.flip(greys, axis=2)), twins, axis=1) * np.array([-1, 1], np.float32)
    return keras.layers.Average()([read(greys), mirrored])


def _of_keras_alone(model: keras.Model) -> keras.Model:
    """The same layers, in plain models: keras-hub's own class of model would need keras-hub to be loaded."""

    def plain(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.Model):
            return keras.Model(layer.inputs, layer.outputs, name=layer.name)
        return layer

    return keras.models.clone_model(model, clone_function=plain)


def _write_checked(
    name: str, model: keras.Model, folder: Path, images: Images, expected_px: npt.NDArray[np.floating]
) -> float:
    """Write a format, read it again, and return its largest difference in pixels."""
    path = folder / FORMATS[name].file
    try:
        with warnings.catch_warnings(action="ignore"):  # of the converters, about NumPy
            FORMATS[name].write(model, path)
            received_px = FORMATS[name].read(path)(images)
    except Exception as error:  # of whatever kind the converters raise
        reason = " ".join(str(error).split())[:240]
        raise UserError(
            f"--format {name}: this ensemble cannot be written and read again ({type(error).__name__}: "
            f"{reason}); nothing was written, choose another format of {', '.join(FORMATS)}"
        ) from error
    difference_px = float(np.abs(received_px - expected_px).max())
    if not difference_px <= _TOLERANCE_PX:  # so that NaN is refused
        raise UserError(
            f"--format {name}: expected fkd's own predictions to {_TOLERANCE_PX:g} px, received a model that "
            f"differs by {difference_px:.3g} px; nothing was written, choose another format and report this"
        )
    return difference_px


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


def _require_packages(formats: Sequence[str]) -> None:
    for name in formats:
        if missing := [package for package in FORMATS[name].packages if find_spec(package) is None]:
            raise UserError(
                f"--format {name} needs the packages {', '.join(FORMATS[name].packages)}, and "
                f"{', '.join(missing)} cannot be found; run `make onnx`, or choose another format"
            )


@contextmanager
def _full_precision() -> Iterator[None]:
    """Keep a GPU from rounding factors to TF32, some hundredths of a pixel, other ones in each program."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    from tensorflow.config import experimental as precision

    before = precision.tensor_float_32_execution_enabled()
    precision.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        precision.enable_tensor_float_32_execution(before)


def _predicted(experiment: Experiment, chosen: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Whether the chosen specialists predict a point, shape (points of the schema,)."""
    schema = experiment.schema_points
    indices = [experiment.point_indices(specialist) for specialist in chosen]
    return np.isin(np.arange(len(schema.names)), np.concatenate(indices))


def _named(experiment: Experiment, points: npt.NDArray[np.bool_]) -> list[str]:
    return [name for name, wanted in zip(experiment.schema_points.names, points, strict=True) if wanted]


_CROP_FIRST = "cut the face out before, framed like the training faces"

_CARD = """# {run}: keypoints of a face

{number} networks that fkd trained, averaged inside one model. Give it grey faces, it answers with points.

| | |
|---|---|
| input | `images`: uint8, shape (faces, {size}, {size}), grey values 0 to {white} |
| output | float32, shape (faces, {points}, 2): x to the right and y downwards, pixels of the {size}x{size} \
image, pixel centres at whole numbers |
| run | `{run}`, experiment `{experiment}` ({network}) |
| data | `{data}`, SHA-256 `{checksum}` |
| trained with | {trained_with} |
| exported with | {exported_with} |

## Use it

fkd is not needed, only the packages that the lines import.

{usage}
## Points, in the order of the output

{names}

Left and right are the person's own.{left_out}

## Members and what they are worth

{members}

A member chosen twice weighs double. No validation face, and no other one of its group (a person or a photo, \
as far as known), trained a member of the same specialist. The members were chosen on one half of the groups \
and scored on the other, both ways, so that the choice does not flatter the figure. Each best epoch was \
picked on the same faces, which does, a little.

## Checked

{checks}
## Limits

- It expects one face a picture, like those of `{data}`: {crop_first}. It answers for any \
picture, also for one without a face, and gives no measure of doubt.
- It is no better than its training faces: people, poses and cameras that are rare there fare worse.
- Weights carry the terms of the data that trained them; faces for research make a model for research.
"""


def _card(
    run: Run,
    experiment: Experiment,
    reports: Sequence[SelectionReport],
    faces: FaceData,
    differences_px: Mapping[str, float],
    faces_checked: int,
) -> str:
    """The model card in Markdown."""
    trained = json.loads(run.provenance.read_text(encoding="utf-8"))
    chosen = {report.specialist: report.chosen for report in reports}
    predicted = _predicted(experiment, chosen)
    names, missing = _named(experiment, predicted), _named(experiment, ~predicted)
    return _CARD.format(
        run=run.name,
        number=sum(len(set(report.chosen)) for report in reports),
        size=IMAGE_SIZE_PX,
        white=MAX_GREY,
        points=len(names),
        experiment=experiment.name,
        network=experiment.network.kind,
        data=trained["data"],
        checksum=trained["data_checksum"],
        trained_with=_versions(trained),
        exported_with=_versions(provenance(faces)),
        usage="\n".join(_usage(FORMATS[name]) for name in differences_px),
        names="\n".join(f"{i}. `{name}`" for i, name in enumerate(names)),
        left_out=f" Not predicted: {', '.join(missing)}." if missing else "",
        members=_members(experiment, reports),
        checks="".join(
            f"- `{FORMATS[name].file}`, read again: on {faces_checked} faces at most {difference_px:.1e} px "
            "from fkd's own predictions\n"
            for name, difference_px in differences_px.items()
        ),
        crop_first=_CROP_FIRST,
    )


def _usage(written: Format) -> str:
    """A block of Python that reads face.png."""
    package, load, predict = written.usage
    return (
        f"```python\n{package}\nimport numpy as np\nfrom PIL import Image\n\n"
        f'face = np.asarray(Image.open("face.png").convert("L").resize(({IMAGE_SIZE_PX}, {IMAGE_SIZE_PX})))\n'
        f"{load}\n{predict}\n```\n"
    )


def _members(experiment: Experiment, reports: Sequence[SelectionReport]) -> str:
    lines = ["| specialist | points | members, weight | validation RMSE px |", "|---|---:|---|---:|"]
    for report in reports:
        points = experiment.point_indices(report.specialist)
        weights = ", ".join(
            f"{member_name(report.specialist, index)} x{report.chosen.count(index)}"
            for index in sorted(set(report.chosen))
        )
        honest_px = report.average_of_chosen.honest_px
        worth = "too few groups to say" if honest_px is None else f"{honest_px:.3f}"
        lines.append(f"| {report.specialist} | {len(points)} | {weights} ({report.policy}) | {worth} |")
    return "\n".join(lines)


def _versions(made: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in made.items() if not name.startswith("data"))
