"""From weights to pixel coordinates."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import numpy.typing as npt

from fkd.ensemble import average_predictions
from fkd.experiment import Experiment
from fkd.keypoints import MAX_GREY, to_pixels
from fkd.models.build import build_model
from fkd.store import Run

# One shape for every call, so that the network is traced once.
_BATCH = 256


def predict_pixels(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Predicted points of uint8 images (n, height, width) as pixels, shape (n, points, 2)."""
    outputs = []
    for start in range(0, len(images), _BATCH):
        chunk = images[start : start + _BATCH]
        batch = np.zeros((_BATCH, *images.shape[1:], 1), np.float32)
        batch[: len(chunk), ..., 0] = np.divide(chunk, MAX_GREY, dtype=np.float32)
        outputs.append(np.asarray(model.predict_on_batch(batch))[: len(chunk)])
    return to_pixels(np.concatenate(outputs)).reshape(len(images), -1, 2)


def predict_ensemble(
    run: Run, experiment: Experiment, chosen: Mapping[str, Sequence[int]], images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """The chosen members' average for every point of the schema, shape (n, points, 2) in pixels.

    chosen: member numbers by specialist; a repeated number weighs double. Points that no specialist
    predicts are NaN.
    """
    schema = experiment.schema_points
    predictions = np.full((len(images), len(schema.names), 2), np.nan)
    for specialist, members in chosen.items():
        points = schema.indices(experiment.specialists[specialist].keypoints)
        model = build_model(experiment.network, len(points), experiment.member_seed(specialist, 0))
        distinct = sorted(set(members))
        by_member = []
        for index in distinct:
            model.load_weights(run.member(specialist, index).best_weights)
            by_member.append(predict_pixels(model, images))
        positions = [distinct.index(index) for index in members]
        predictions[:, points] = average_predictions(np.stack(by_member), positions)
    return predictions
