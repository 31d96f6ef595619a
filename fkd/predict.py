"""From weights to pixel coordinates."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt

from fkd.detector import face_crops, from_crops
from fkd.ensemble import average_predictions
from fkd.experiment import Experiment
from fkd.keypoints import MAX_GREY, to_pixels, to_unit
from fkd.models.build import build_model, read_points
from fkd.settings.network import Network
from fkd.store import Run

# One shape for every call, so that the network is traced once; 68 heatmaps of so many faces are 0.3 GB.
_BATCH = 128

Peaks = Literal["soft_argmax", "argmax"]


def predict_pixels(
    model: keras.Model,
    network: Network,
    images: npt.NDArray[np.uint8],
    peaks: Peaks = "soft_argmax",
    batch: int = _BATCH,
) -> npt.NDArray[np.float32]:
    """Predicted points of uint8 images (n, height, width) as pixels, shape (n, points, 2).

    batch: so many images at once; fewer are filled up.
    """
    return np.concatenate([_pixels(network, outputs, peaks) for outputs in _outputs(model, images, batch)])


def validate(
    model: keras.Model,
    network: Network,
    loss: Callable[[Any, Any], Any],
    images: npt.NDArray[np.uint8],
    truth_px: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], float]:
    """Predicted points as pixels, shape (n, points, 2), and the mean loss over the images.

    truth_px: shape (n, points, 2).
    """
    pixels, total_loss = [], 0.0
    for start, outputs in zip(range(0, len(images), _BATCH), _outputs(model, images), strict=True):
        targets = to_unit(truth_px[start : start + _BATCH]).reshape(len(outputs), -1)
        pixels.append(_pixels(network, outputs, "soft_argmax"))
        total_loss += len(outputs) * float(keras.ops.mean(loss(targets, outputs)))
    return np.concatenate(pixels), total_loss / len(images)


def _outputs(
    model: keras.Model, images: npt.NDArray[np.uint8], size: int = _BATCH
) -> Iterator[npt.NDArray[np.float32]]:
    """What the network says of the images, batch by batch."""
    for start in range(0, len(images), size):
        chunk = images[start : start + size]
        batch = np.zeros((size, *images.shape[1:], 1), np.float32)
        batch[: len(chunk), ..., 0] = np.divide(chunk, MAX_GREY, dtype=np.float32)
        yield np.asarray(model.predict_on_batch(batch))[: len(chunk)]


def _pixels(network: Network, outputs: npt.NDArray[np.float32], peaks: Peaks) -> npt.NDArray[np.float32]:
    coordinates = keras.ops.convert_to_numpy(read_points(network, outputs, peaks))
    return to_pixels(coordinates).reshape(len(outputs), -1, 2)


def predict_ensemble(
    run: Run, experiment: Experiment, chosen: Mapping[str, Sequence[int]], images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """The chosen members' average for every point of the schema, shape (n, points, 2) in pixels.

    chosen: member numbers by specialist; a repeated number weighs double. Points that no specialist
    predicts are NaN. The experiment's `prediction` says how faces are found and maps are read.
    """
    if experiment.prediction.detector == "haar":
        crops, boxes = face_crops(images)
        return from_crops(_predict_faces(run, experiment, chosen, crops), boxes)
    return _predict_faces(run, experiment, chosen, images)


def _predict_faces(
    run: Run, experiment: Experiment, chosen: Mapping[str, Sequence[int]], images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    schema, network = experiment.schema_points, experiment.network
    predictions = np.full((len(images), len(schema.names), 2), np.nan)
    for specialist, members in chosen.items():
        points = experiment.point_indices(specialist)
        model = build_model(network, len(points), experiment.member_seed(specialist, 0))
        distinct = sorted(set(members))
        by_member = []
        for index in distinct:
            model.load_weights(run.member(specialist, index).best_weights)
            by_member.append(predict_pixels(model, network, images, experiment.prediction.peaks))
        positions = [distinct.index(index) for index in members]
        predictions[:, points] = average_predictions(np.stack(by_member), positions)
    return predictions
