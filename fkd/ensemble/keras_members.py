"""The chosen members in one Keras network a specialist, for a few faces at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fkd.core.lean_keras import keras
from fkd.ensemble.graph_file import Chosen
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.training.device import require_visible_gpu
from fkd.training.member_files import load_best_weights
from fkd.training.networks.build import build_model
from fkd.training.predict import predict_pixels

# Most photos show one face, which is not to cost as much as eight. A network is traced for these two shapes.
_FACES_AT_ONCE = 8


@dataclass(frozen=True)
class KerasMembers:
    """Members that predict one after the other in one network a specialist, into which their weights are put.

    models: by specialist. weights: by specialist and number.
    """

    models: Mapping[str, keras.Model]
    weights: Mapping[str, Mapping[int, list[npt.NDArray[np.float32]]]]

    @classmethod
    def load(cls, run: Run, experiment: Experiment, chosen: Chosen) -> "KerasMembers":
        """The chosen members of a run; raises UserError for one whose files are missing or damaged."""
        require_visible_gpu()
        models: dict[str, keras.Model] = {}
        weights: dict[str, dict[int, list[npt.NDArray[np.float32]]]] = {}
        for specialist, members in chosen.items():
            model = build_network(experiment, specialist)
            weights[specialist] = {}
            for index in dict.fromkeys(members):
                load_best_weights(model, run.member(specialist, index))
                weights[specialist][index] = model.get_weights()
            models[specialist] = model
        return cls(models, weights)

    def __call__(
        self, experiment: Experiment, faces: npt.NDArray[np.uint8]
    ) -> Mapping[str, Mapping[int, npt.NDArray[np.float32]]]:
        """The points of each member by specialist and number, shape (n, points, 2) in pixels."""
        at_once = _FACES_AT_ONCE if len(faces) > 1 else 1

        def predict(specialist: str, weights: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
            model = self.models[specialist]
            model.set_weights(weights)
            return predict_pixels(model, experiment, specialist, faces, at_once)

        return {
            specialist: {index: predict(specialist, weights) for index, weights in members.items()}
            for specialist, members in self.weights.items()
        }


def build_network(experiment: Experiment, specialist: str) -> keras.Model:
    """A network into which any member of a specialist can be loaded."""
    points = len(experiment.point_indices(specialist))
    return build_model(experiment.network, points, experiment.member_seed(specialist, 0))
