"""From weights to pixel coordinates."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

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


class Validated(NamedTuple):
    """Predicted points as pixels, shape (n, points, 2), and the mean loss over the images."""

    predictions_px: npt.NDArray[np.float32]
    loss: float


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
    predictions = [predict_points(model, codec, view, peaks, batch)]
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
    return mirror_pixels(predict_points(model, codec, images[..., ::-1], peaks, batch), twins)


def predict_points(
    model: keras.Model,
    codec: Codec,
    images: npt.NDArray[np.uint8],
    peaks: Peaks = "soft_argmax",
    batch: int = _BATCH,
) -> npt.NDArray[np.float32]:
    """Predictions in the images as they are, shape (n, points, 2)."""
    return np.concatenate([_pixels(codec, some, peaks) for some in _outputs(model, images, batch)])


def validate(
    outputs_of: Callable[[npt.NDArray[np.float32]], Sequence[Any]],
    codec: Codec,
    loss: Callable[[Any, Any], Any],
    images: npt.NDArray[np.uint8],
    truth_px: npt.NDArray[np.float32],
) -> list[Validated]:
    """What each of several networks predicts for the same images, and how well.

    outputs_of: those of every network for a batch. truth_px: shape (n, points, 2).
    """
    by_batch: list[list[tuple[npt.NDArray[np.float32], float]]] = []
    for some, labels_px in zip(_batches(images, _BATCH), _chunks(truth_px, _BATCH), strict=True):
        targets = to_unit(labels_px).reshape(len(labels_px), -1)
        outputs = [keras.ops.convert_to_numpy(one)[: len(targets)] for one in outputs_of(some)]
        by_batch.append([(_pixels(codec, one, "soft_argmax"), _total(loss, targets, one)) for one in outputs])
    return [
        Validated(np.concatenate([pixels for pixels, _ in one]), sum(total for _, total in one) / len(images))
        for one in zip(*by_batch, strict=True)
    ]


def _total(loss: Callable[[Any, Any], Any], targets: Any, outputs: Any) -> float:
    return len(outputs) * float(keras.ops.mean(loss(targets, outputs)))


def _outputs(
    model: keras.Model, images: npt.NDArray[np.uint8], size: int
) -> Iterator[npt.NDArray[np.float32]]:
    """The network's outputs for the images, batch by batch."""
    for some, chunk in zip(_batches(images, size), _chunks(images, size), strict=True):
        yield np.asarray(model.predict_on_batch(some))[: len(chunk)]


def _batches(images: npt.NDArray[np.uint8], size: int) -> Iterator[npt.NDArray[np.float32]]:
    """As networks take them, shape (size, height, width, 1), from 0 to 1; zeros after the last image."""
    for chunk in _chunks(images, size):
        batch = np.zeros((size, *images.shape[1:], 1), np.float32)
        batch[: len(chunk), ..., 0] = np.divide(chunk, MAX_GREY, dtype=np.float32)
        yield batch


def _chunks(rows: npt.NDArray[Any], size: int) -> Iterator[npt.NDArray[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _pixels(codec: Codec, outputs: npt.NDArray[np.float32], peaks: Peaks) -> npt.NDArray[np.float32]:
    coordinates = keras.ops.convert_to_numpy(codec.read(outputs, peaks))
    return to_pixels(coordinates).reshape(len(outputs), -1, 2)
