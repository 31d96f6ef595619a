import itertools
from typing import Any

import keras
import numpy as np
import pytest

from fkd.core.keypoints import to_pixels, to_unit
from fkd.experiment.network import HeatmapNetwork
from fkd.training.networks.heatmap import build_heatmap
from fkd.training.networks.maps import HeatmapLoss, read_peaks


def build(filters: tuple[int, ...], points: int = 1, first_seed: int = 1, **settings: Any) -> keras.Model:
    network = HeatmapNetwork(kind="heatmap", filters=filters, **settings)
    return build_heatmap(network, 96, points, itertools.count(first_seed))


def array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def test_size_by_hand():
    model = build((2, 3), points=5)
    weights = (
        3 * 3 * (1 * 2 + 2 * 2)  # 96 px
        + 3 * 3 * (2 * 3 + 3 * 3)  # 48 px
        + 3 * 3 * ((3 + 2) * 2 + 2 * 2)  # 96 px, joined
        + (2 + 1) * 5  # one map a point
    )
    normalisations = 4 * 2 * (2 + 3 + 2)  # scale, shift and two averages a channel
    assert model.count_params() == weights + normalisations
    assert (model.input_shape, model.output_shape) == ((None, 96, 96, 1), (None, 96 * 96, 5))


def test_one_level_is_a_network_at_full_resolution():
    assert build((2,), kernel=5).count_params() == 5 * 5 * (1 * 2 + 2 * 2) + 2 * 4 * 2 + (2 + 1)


def test_weights_are_a_function_of_the_seeds():
    same, again, other = (build((2, 3), first_seed=seed).get_weights() for seed in (1, 1, 2))
    for a, b in zip(same, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (same[0] != other[0]).all()


def test_logits_stand_row_by_row():
    """A network that passes the picture through: its peak is the picture's brightest pixel."""
    model = build((1,), kernel=1)
    # Convolution, then scale, shift and averages of its normalisation, twice; the map.
    passing = [np.ones((1, 1, 1, 1)), np.ones(1), np.zeros(1), np.zeros(1), np.ones(1)]
    model.set_weights([*passing, *passing, np.ones((1, 1, 1, 1)), np.zeros(1)])
    image = np.zeros((1, 96, 96, 1), np.float32)
    image[0, 30, 70] = 1
    peak = to_pixels(array(read_peaks(model(image), "argmax")))
    assert peak == pytest.approx(np.array([[70, 30]]), abs=1e-4)


def test_a_network_learns_where_the_bright_dot_is():
    images, truth = np.zeros((8, 96, 96, 1), np.float32), np.zeros((8, 2), np.float32)
    for face, (x, y) in enumerate(np.random.default_rng(0).integers(16, 80, (8, 2))):
        images[face, y - 2 : y + 3, x - 2 : x + 3] = 1
        truth[face] = x, y
    model = build((4, 4))
    model.compile(keras.optimizers.Adam(0.1), HeatmapLoss(2), jit_compile=False)
    losses = [float(model.train_on_batch(images, to_unit(truth))) for _ in range(40)]
    assert losses[-1] < losses[0] / 20
    peaks = to_pixels(array(read_peaks(model(images, training=True), "argmax")))
    assert np.abs(peaks - truth).max() <= 4
