"""From weights to pixel coordinates."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import MAX_GREY, average_augmented, mirror_pixels, to_pixels, to_unit
from fkd.core.lean_keras import keras
from fkd.experiment.experiment import Experiment
from fkd.training.networks.codecs import Codec, codec_of
from fkd.training.networks.maps import Peaks
from fkd.training.test_time_augmentation import Matrix, unwarp_points, view_matrices, warp_faces

# One shape for every call, so that the network is traced once; 68 heatmaps of that many faces take 0.3 GB.
_BATCH = 128


def predict_pixels(
    model: keras.Model,
    experiment: Experiment,
    specialist: str,
    images: npt.NDArray[np.uint8],
    batch: int = _BATCH,
) -> npt.NDArray[np.float32]:
    """A specialist's points on uint8 images (n, height, width) as pixels, shape (n, points, 2).

    The experiment's `prediction` says how. batch: images in one call of the network; fewer are padded.
    """
    codec, prediction = codec_of(experiment.network), experiment.prediction
    twins = experiment.twin_positions(specialist) if prediction.mirrored else None
    predictions = [
        predict_view(model, codec, twins, images, matrix, prediction.peaks, batch)
        for matrix in view_matrices(prediction.views)
    ]
    return average_augmented(np.stack(predictions))


def predict_view(
    model: keras.Model,
    codec: Codec,
    twins: npt.NDArray[np.intp] | None,
    images: npt.NDArray[np.uint8],
    matrix: Matrix,
    peaks: Peaks = "soft_argmax",
    batch: int = _BATCH,
) -> npt.NDArray[np.float32]:
    """Predictions in a view, then in its mirror image, as points of the images, shape (1 or 2, n, points, 2).

    codec: of the network's outputs. matrix: maps the pixels of an image to those of the view, shape (2, 3).
    twins: the position of each point's mirror twin among the network's points, shape (points,); None predicts
    without the mirror image.
    """
    view = warp_faces(images, matrix)
    predictions = [_read(model, codec, view, peaks, batch)]
    if twins is not None:
        predictions.append(predict_mirrored(model, codec, twins, view, peaks, batch))
    return np.stack([unwarp_points(pixels, matrix) for pixels in predictions])


def predict_mirrored(
    model: keras.Model,
    codec: Codec,
    twins: npt.NDArray[np.intp],
    images: npt.NDArray[np.uint8],
    peaks: Peaks = "soft_argmax",
    batch: int = _BATCH,
) -> npt.NDArray[np.float32]:
    """Predictions in the mirror images, as points of the images themselves, shape (n, points, 2).

    twins: the position of each point's mirror twin among the network's points, shape (points,).
    """
    return mirror_pixels(_read(model, codec, images[..., ::-1], peaks, batch), twins)


def _read(
    model: keras.Model, codec: Codec, images: npt.NDArray[np.uint8], peaks: Peaks, batch: int
) -> npt.NDArray[np.float32]:
    return np.concatenate([_pixels(codec, some, peaks) for some in _outputs(model, images, batch)])


def validate(
    model: keras.Model,
    codec: Codec,
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
        pixels.append(_pixels(codec, outputs, "soft_argmax"))
        total_loss += len(outputs) * float(keras.ops.mean(loss(targets, outputs)))
    return np.concatenate(pixels), total_loss / len(images)


def _outputs(
    model: keras.Model, images: npt.NDArray[np.uint8], size: int = _BATCH
) -> Iterator[npt.NDArray[np.float32]]:
    """The network's outputs for the images, batch by batch."""
    for start in range(0, len(images), size):
        chunk = images[start : start + size]
        batch = np.zeros((size, *images.shape[1:], 1), np.float32)
        batch[: len(chunk), ..., 0] = np.divide(chunk, MAX_GREY, dtype=np.float32)
        yield np.asarray(model.predict_on_batch(batch))[: len(chunk)]


def _pixels(codec: Codec, outputs: npt.NDArray[np.float32], peaks: Peaks) -> npt.NDArray[np.float32]:
    coordinates = keras.ops.convert_to_numpy(codec.read(outputs, peaks))
    return to_pixels(coordinates).reshape(len(outputs), -1, 2)
