"""The chosen ensemble as one model that needs no fkd, checked against fkd's own predictions, with a card."""

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError, one_line
from fkd.core.lean_keras import keras, ops
from fkd.core.say import Say
from fkd.data.faces import FaceData
from fkd.deploy.model_card import CARD, CROP_FIRST, model_card, point_names, predicted_points
from fkd.deploy.model_formats import FORMATS, Images, require_packages
from fkd.ensemble.members_graph import member_outputs, to_pixels_layer
from fkd.ensemble.predict import predict_ensemble
from fkd.ensemble.selection import SelectionReport
from fkd.ensemble.stacking import Stack
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run

# How many show whether a written model answers as it should, and how many what ranges its activations have.
_FACES_CHECKED, _FACES_SHOWN = 32, 200
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def export_ensemble(
    run: Run,
    experiment: Experiment,
    reports: Sequence[SelectionReport],
    faces: FaceData,
    folder: Path,
    formats: Sequence[str] = ("keras",),
    say: Say = print,
) -> None:
    """Write the chosen members' average in every format, and a card, into a folder that is made whole or not.

    formats: names in FORMATS. The experiment's `prediction` says how maps are read. Raises UserError where
    the folder holds something, a package is missing, a format cannot be written, or a written model
    differs from fkd's own predictions by more than the format's tolerance.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder}: expected a new or empty folder, received one in use; name another")
    require_packages(formats)
    if experiment.prediction.detector != "none":
        say(f"{folder}: prediction.detector={experiment.prediction.detector} stays outside; {CROP_FIRST}")
    if experiment.prediction.views > 1:
        say(
            f"{folder}: prediction.views={experiment.prediction.views} stays outside; of test-time "
            "augmentation the model has the mirror alone"
        )
    prediction = experiment.prediction.model_copy(update={"detector": "none", "views": 1})
    experiment = experiment.model_copy(update={"prediction": prediction})
    chosen = {report.specialist: report.chosen for report in reports}
    predicted = predicted_points(experiment, chosen)
    if missing := point_names(experiment, ~predicted):
        say(f"{folder}: no specialist predicts {', '.join(missing)}; left out of the model")

    images = (faces.test if len(faces.test.ids) else faces.training).images[:_FACES_CHECKED]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".temporary-") as place, _full_precision():
        unfinished = Path(place) / "export"
        unfinished.mkdir()
        expected_px = predict_ensemble(run, experiment, chosen, images)[:, predicted]
        model = ensemble_model(run, experiment, chosen)
        differences_px = {
            name: _write_checked(
                name, model, unfinished, _spread_out(faces.training.images), images, expected_px
            )
            for name in dict.fromkeys(formats)
        }
        card = model_card(run, experiment, reports, faces, differences_px, len(images))
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

    chosen: member numbers by specialist; a repeated number weighs double, those of a Stack have its weights.
    Input: (batch, 96, 96) grey values as uint8; output: (batch, points, 2) pixels, x and y of the predicted
    points in schema order.
    """
    layers = keras.layers
    images, outputs = member_outputs(run, experiment, chosen)
    averages = dict[tuple[int, ...], list[Any]]()  # by the points; several where folds share them
    for specialist, members in chosen.items():
        ordered = [outputs[specialist][index] for index in members]
        average = _stacked(ordered, members) if isinstance(members, Stack) else layers.Average()(ordered)
        averages.setdefault(tuple(experiment.point_indices(specialist).tolist()), []).append(average)
    joined = layers.Concatenate(axis=1)([layers.Average()(folds) for folds in averages.values()])
    in_schema_order = ops.take(joined, np.argsort(np.concatenate(list(averages))).tolist(), axis=1)
    return keras.Model(images, to_pixels_layer(in_schema_order), name="ensemble")


def _stacked(outputs: Sequence[Any], stack: Stack) -> Any:
    """The weighted sum of members' points, shape (batch, points, 2)."""
    weights = stack.weights.astype(np.float32)[..., np.newaxis]
    return keras.layers.Add()([output * weight for output, weight in zip(outputs, weights, strict=True)])


def _write_checked(
    name: str,
    model: keras.Model,
    folder: Path,
    shown: Images,
    images: Images,
    expected_px: npt.NDArray[np.floating],
) -> float:
    """Write a format for faces like those shown, read it again, and return its largest error in pixels."""
    path = folder / FORMATS[name].file
    try:
        FORMATS[name].write(model, path, shown)
        received_px = FORMATS[name].read(path)(images)
    except Exception as error:  # of whatever kind the converters raise
        reason = one_line(error)
        if any(os.strerror(number) in reason for number in _NO_ROOM):  # TensorFlow's errors have no number
            raise UserError(
                f"--format {name}: expected room for the model, received {reason[-240:]}; nothing was "
                "written, make room or name another --to"
            ) from error
        raise UserError(
            f"--format {name}: this ensemble cannot be written and read again ({type(error).__name__}: "
            f"{reason[:240]}); nothing was written, choose another format of {', '.join(FORMATS)}"
        ) from error
    difference_px = float(np.abs(received_px - expected_px).max())
    tolerance_px = FORMATS[name].tolerance_px
    if not difference_px <= tolerance_px:  # so that NaN is refused
        raise UserError(
            f"--format {name}: expected fkd's own predictions to {tolerance_px:g} px, received a model that "
            f"differs by {difference_px:.3g} px; nothing was written, choose another format and report this"
        )
    return difference_px


def _spread_out(images: Images) -> Images:
    """Some of many faces, from the first to the last."""
    return images[np.linspace(0, len(images) - 1, min(_FACES_SHOWN, len(images))).astype(int)]


@contextmanager
def _full_precision() -> Iterator[None]:
    """Keep a GPU from rounding factors to TF32: hundredths of a pixel, which differ between programs."""
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
