import itertools
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fkd.core.keypoints import to_pixels, to_unit
from fkd.experiment.network import ResidualNetwork
from fkd.experiment.training import Training
from fkd.training.networks.codecs import codec_of
from fkd.training.networks.residual import build_residual


def network(filters: tuple[int, ...], **settings: Any) -> ResidualNetwork:
    return ResidualNetwork(kind="residual", filters=filters, **settings)


def test_size_by_hand():
    model = build_residual(network((2, 3), output_level=0), 96, 5, itertools.count())
    kernels = (
        5 * 5 * 2  # the stem
        + 3 * 3 * (2 * 2 + 2 * 2)  # a block on 48 px
        + 3 * 3 * (2 * 3 + 3 * 3)
        + 2 * 3  # a block on 24 px, and the way around it
        + 3 * 2
        + 3 * 3 * (2 * 2 + 2 * 2)  # up to 48 px, and a block there
    )
    normalisations = 4 * (2 + 2 + 2 + 3 + 3 + 3 + 2 + 2 + 2)  # scale, shift and two averages a channel
    assert model.count_params() == kernels + normalisations + (2 + 1) * 5
    assert (model.input_shape, model.output_shape) == ((None, 96, 96, 1), (None, 48 * 48, 5))


@pytest.mark.parametrize(("level", "side_px"), [(0, 48), (1, 24), (2, 12)])
def test_maps_of_every_level(level: int, side_px: int):
    model = build_residual(network((1, 1, 1), blocks=2, output_level=level), 96, 1, itertools.count())
    assert model.output_shape == (None, side_px**2, 1)


def test_a_level_that_is_not_there_is_refused():
    with pytest.raises(ValidationError, match="expected one of the 2 levels, counted from 0, received 2"):
        network((1, 1), output_level=2)


def test_maps_that_do_not_halve_are_refused():
    with pytest.raises(ValidationError, match="at most 5 levels, for a map of 48 px"):
        network((1,) * 6)


def test_weights_are_a_function_of_the_seeds():
    same, again, other = (
        build_residual(network((2,), output_level=0), 96, 1, itertools.count(seed)).get_weights()
        for seed in (1, 1, 2)
    )
    for a, b in zip(same, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (same[0] != other[0]).all()


def test_it_learns_where_the_bright_dot_is():
    images, truth = np.zeros((8, 96, 96, 1), np.float32), np.zeros((8, 2), np.float32)
    for face, (x, y) in enumerate(np.random.default_rng(0).integers(16, 80, (8, 2))):
        images[face, y - 2 : y + 3, x - 2 : x + 3] = 1
        truth[face] = x, y
    settings = network((4, 4), output_level=0)
    model = build_residual(settings, 96, 1, itertools.count())
    codec = codec_of(settings)
    model.compile("adam", codec.loss(Training(loss="huber", map_divergence=0.01)), jit_compile=False)
    model.optimizer.learning_rate = 0.03
    for _ in range(60):
        model.train_on_batch(images, to_unit(truth))
    points_px = to_pixels(np.asarray(codec.read(model(images, training=True))))
    assert np.abs(points_px - truth).max() <= 3
