"""The chosen members as one Keras model, of nothing but what Keras itself brings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fkd.core.keypoints import CENTRE_PX, HALF_WIDTH_PX, IMAGE_SIZE_PX, MAX_GREY
from fkd.core.lean_keras import keras, ops
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.training.member_files import load_best_weights
from fkd.training.networks.build import build_model
from fkd.training.networks.codecs import codec_of

# Outputs of members, (batch, points, 2) in [-1, 1], by specialist and number.
Outputs = Mapping[str, Mapping[int, Any]]


def member_outputs(
    run: Run, experiment: Experiment, chosen: Mapping[str, Sequence[int]]
) -> tuple[keras.KerasTensor, Outputs]:
    """Input and outputs of a graph of the chosen members; the input is uint8 faces (batch, 96, 96), `images`.

    chosen: member numbers by specialist. The experiment's `prediction` says how maps are read and whether the
    mirror image counts, too; its views and its detector stay outside.
    """
    layers = keras.layers
    images = keras.Input((IMAGE_SIZE_PX, IMAGE_SIZE_PX), dtype="uint8", name="images")
    # Scaled first: ONNX Runtime is slow where the last axis is 1.
    greys = layers.Reshape((IMAGE_SIZE_PX, IMAGE_SIZE_PX, 1))(layers.Rescaling(1 / MAX_GREY)(images))
    outputs: dict[str, dict[int, Any]] = {}
    for specialist, members in chosen.items():
        points = len(experiment.point_indices(specialist))
        outputs[specialist] = {}
        for index in sorted(set(members)):
            seed = experiment.member_seed(specialist, index)
            member = build_model(experiment.network, points, seed)
            load_best_weights(member, run.member(specialist, index))
            network = _of_keras_alone(member)
            outputs[specialist][index] = _member_points(network, experiment, specialist, greys)
    return images, outputs


def to_pixels_layer(coordinates: Any) -> Any:
    """Coordinates in [-1, 1] as pixels of the face."""
    return keras.layers.Rescaling(HALF_WIDTH_PX, CENTRE_PX)(coordinates)


def members_model(run: Run, experiment: Experiment, chosen: Mapping[str, Sequence[int]]) -> keras.Model:
    """Every chosen member's points in pixels, an output a specialist: (batch, members, points, 2)."""
    images, outputs = member_outputs(run, experiment, chosen)
    by_specialist = [
        to_pixels_layer(ops.stack(list(members.values()), axis=1)) for members in outputs.values()
    ]
    return keras.Model(images, by_specialist, name="members")


def _member_points(member: keras.Model, experiment: Experiment, specialist: str, greys: Any) -> Any:
    """A member's points in [-1, 1] as the experiment's `prediction` asks, shape (batch, points, 2)."""

    def read(pictures: Any) -> Any:
        coordinates = codec_of(experiment.network).read(member(pictures), experiment.prediction.peaks)
        return keras.layers.Reshape((-1, 2))(coordinates)

    if not experiment.prediction.mirrored:
        return read(greys)
    both = read(ops.concatenate([greys, ops.flip(greys, axis=2)], axis=0))
    as_they_are, mirrored = ops.split(both, 2, axis=0)
    twins = experiment.twin_positions(specialist)
    turned_back = ops.take(mirrored, twins, axis=1) * np.array([-1, 1], np.float32)
    return keras.layers.Average()([as_they_are, turned_back])


def _of_keras_alone(model: keras.Model) -> keras.Model:
    """The same layers, in plain models: keras-hub's own class of model would need keras-hub to be loaded."""

    def plain(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.Model):
            return keras.Model(layer.inputs, layer.outputs, name=layer.name)
        return layer

    return keras.models.clone_model(model, clone_function=plain)
