"""What a run's chosen members predict of many images, once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from fkd.data.crops import face_crops, from_crops
from fkd.ensemble.choice import Choice
from fkd.ensemble.ensemble import mean_px, repeated
from fkd.ensemble.graph_file import Chosen
from fkd.ensemble.keras_members import build_network
from fkd.ensemble.label_offsets import asked_counts
from fkd.ensemble.selection import join_specialists
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.training.member_files import load_best_weights
from fkd.training.predict import predict_pixels

# Between its layers one member leaves cores idle; another's convolutions fill them.
_MEMBERS_AT_ONCE = 2


def predict_test_images(choice: Choice) -> npt.NDArray[np.float64]:
    """The points of all test images for a submission, shape (images, points, 2) in pixels.

    How many points are asked of an image tells its source: the specialists of this source predict it, and
    its label offsets are added where the experiment wants them.
    """
    experiment, faces = choice.experiment, choice.faces
    counts = asked_counts(faces.lookup, faces.test.ids, experiment.schema_points)
    predictions_px = np.empty((len(counts), len(experiment.schema_points.names), 2))
    for images, specialists in experiment.by_source(counts):
        chosen = {name: choice.members[name] for name in specialists}
        predicted_px = predict_ensemble(choice.run, experiment, chosen, faces.test.images[images])
        if experiment.prediction.label_offsets:
            offsets_px = {
                name: choice.validations[name].offsets_px(members, predicted_px, counts[images])
                for name, members in chosen.items()
            }
            predicted_px += join_specialists(experiment, offsets_px)
        predictions_px[images] = predicted_px
    return predictions_px


def predict_ensemble(
    run: Run, experiment: Experiment, chosen: Chosen, images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """The chosen members' average for every point of the schema, shape (n, points, 2) in pixels.

    Points that no specialist predicts are NaN. The experiment's `prediction` says how faces are found and
    maps are read.
    """
    if experiment.prediction.detector == "haar":
        crops, boxes = face_crops(images)
        return from_crops(_predict_faces(run, experiment, chosen, crops), boxes)
    return _predict_faces(run, experiment, chosen, images)


def _predict_faces(
    run: Run, experiment: Experiment, chosen: Chosen, images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    predictions = {
        specialist: repeated(
            members, _predict_members(run, experiment, specialist, sorted(set(members)), images)
        )
        for specialist, members in chosen.items()
    }
    return mean_px(experiment, chosen, predictions)


def _predict_members(
    run: Run, experiment: Experiment, specialist: str, members: Sequence[int], images: npt.NDArray[np.uint8]
) -> dict[int, npt.NDArray[np.float32]]:
    """What each member predicts, shape (n, points, 2) in pixels; the same whichever others are asked for."""
    # As many as there are threads, so that one is always free; each is traced once.
    free = [build_network(experiment, specialist) for _ in range(min(_MEMBERS_AT_ONCE, len(members)))]

    def predict(index: int) -> npt.NDArray[np.float32]:
        model = free.pop()
        try:
            load_best_weights(model, run.member(specialist, index))
            return predict_pixels(model, experiment, specialist, images)
        finally:
            free.append(model)

    with ThreadPoolExecutor(len(free)) as threads:
        return dict(zip(members, threads.map(predict, members), strict=True))
