from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkd.core.keypoints import to_pixels, to_unit
from fkd.training.networks.maps import HeatmapLoss, map_logits, normalised_convolution, read_peaks

inside_px = st.floats(16, 79, width=32)  # eight standard deviations from every edge


def gaussian(x_px: float, y_px: float, sigma_px: float) -> np.ndarray:
    """Logits of one point's Gaussian, shape (1, 9216, 1)."""
    rows, columns = np.mgrid[:96, :96]
    distance = (columns - x_px) ** 2 + (rows - y_px) ** 2
    return (-distance / (2 * sigma_px**2)).reshape(1, -1, 1).astype(np.float32)


def array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def test_a_map_is_drawn_for_every_point():
    features = keras.Input((4, 4, 3))
    model = keras.Model(features, map_logits(features, points=2, seed=0))
    assert model.count_params() == 3 * 2 + 2
    weights = np.array([[1, 0], [0, 1], [0, 0]], np.float32).reshape(1, 1, 3, 2)
    model.set_weights([weights, np.zeros(2)])
    numbers = np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3)
    np.testing.assert_array_equal(array(model(numbers)), numbers.reshape(1, 16, 3)[..., :2])


def test_a_strided_convolution_of_single_pixels_takes_every_second_one():
    features = keras.Input((4, 4, 1))
    model = keras.Model(features, normalised_convolution(features, 1, 1, iter([0]), strides=2))
    kernel, *normalisation = model.get_weights()
    model.set_weights([np.full_like(kernel, 2), *normalisation])
    numbers = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    doubled = array(model(numbers))[0, :, :, 0]
    np.testing.assert_allclose(doubled, [[0, 4], [16, 20]], rtol=1e-3)  # 1e-3: the normalisation's epsilon


@pytest.mark.parametrize(("channels", "lowered"), [(1, True), (15, True), (16, False), (24, False)])
def test_the_convolution_that_onednn_gets_wrong_is_not_asked_for(channels: int, lowered: bool):
    features = keras.Input((4, 4, channels))
    model = keras.Model(features, normalised_convolution(features, 1, 1, iter([0]), strides=2))
    convolution = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    assert convolution.strides == ((1, 1) if lowered else (2, 2))
    assert model.output_shape == (None, 2, 2, 1)


def test_peaks_by_hand():
    # Two points on a map of 2 by 2 pixels, whose centres are at -0.5 and 0.5.
    probabilities = np.array([[[0.1, 0.25], [0.2, 0.25], [0.3, 0.25], [0.4, 0.25]]], np.float32)
    logits = np.log(probabilities)
    mean_x, mean_y = 0.5 * (0.2 + 0.4 - 0.1 - 0.3), 0.5 * (0.3 + 0.4 - 0.1 - 0.2)
    assert array(read_peaks(logits, "soft_argmax")) == pytest.approx(np.array([[mean_x, mean_y, 0, 0]]))
    assert array(read_peaks(logits, "argmax"))[0, :2].tolist() == [0.5, 0.5]


def test_points_and_faces_are_read_apart():
    first = np.concatenate([gaussian(20, 30, 1), gaussian(40, 50, 1)], axis=-1)
    second = np.concatenate([gaussian(60, 70, 1), gaussian(25, 75, 1)], axis=-1)
    peaks = to_pixels(array(read_peaks(np.concatenate([first, second]), "argmax")))
    np.testing.assert_allclose(peaks, [[20, 30, 40, 50], [60, 70, 25, 75]], atol=1e-4)


@given(inside_px, inside_px)
def test_the_soft_argmax_of_a_gaussian_is_its_centre(x_px: float, y_px: float):
    peak = to_pixels(array(read_peaks(gaussian(x_px, y_px, 2), "soft_argmax")))
    np.testing.assert_allclose(peak, [[x_px, y_px]], atol=1e-3)


@given(inside_px, inside_px)
def test_on_a_sharp_map_both_readings_agree_within_half_a_pixel(x_px: float, y_px: float):
    logits = gaussian(x_px, y_px, 0.3)
    soft, hard = (to_pixels(array(read_peaks(logits, peaks))) for peaks in ("soft_argmax", "argmax"))
    assert np.abs(soft - hard).max() <= 0.5 + 1e-3


def test_the_loss_by_hand():
    # One point in the middle of a map of 2 by 2 pixels: its target is 1/4 everywhere.
    probabilities = np.array([0.5, 0.25, 0.125, 0.125])
    by_hand = -np.log(2) / 4 + 0 + np.log(2) / 4 + np.log(2) / 4
    truth, logits = np.zeros((1, 2)), np.log(probabilities).reshape(1, 4, 1).astype(np.float32)
    assert float(HeatmapLoss(sigma_px=1)(truth, logits)) == pytest.approx(by_hand)


def test_the_loss_is_the_mean_over_points_and_faces():
    logits = np.log(np.array([[0.5, 0.25, 0.125, 0.125], [0.25] * 4])).astype(np.float32)
    two_points = logits.T[None]
    two_faces = logits[..., None]
    expected = pytest.approx(np.log(2) / 4 / 2)
    assert float(HeatmapLoss(1)(np.zeros((1, 4)), two_points)) == expected
    assert float(HeatmapLoss(1)(np.zeros((2, 2)), two_faces)) == expected


def test_a_gaussian_is_as_wide_on_a_coarse_map_as_on_a_fine_one():
    # Four pixels side by side in the picture are one in a map of 24.
    truth = to_unit(np.array([[49.5, 49.5]], np.float32))  # a centre of the coarse map's
    coarse = gaussian(49.5, 49.5, 8).reshape(24, 4, 24, 4).mean(axis=(1, 3)).reshape(1, -1, 1)
    assert float(HeatmapLoss(8)(truth, coarse)) == pytest.approx(0, abs=1e-3)
    assert float(HeatmapLoss(2)(truth, coarse)) > 1


def test_a_point_without_a_label_adds_nothing():
    logits = np.log(np.array([[0.5, 0.25, 0.125, 0.125], [0.7, 0.1, 0.1, 0.1]])).astype(np.float32).T[None]
    truth = np.array([[0, 0, np.nan, np.nan]], np.float32)
    # The first point's loss as above, the mean over the two points.
    assert float(HeatmapLoss(1)(truth, logits)) == pytest.approx(np.log(2) / 4 / 2)


@given(inside_px, inside_px)
def test_a_perfect_map_costs_nothing(x_px: float, y_px: float):
    truth = to_unit(np.array([[x_px, y_px]]))
    assert float(HeatmapLoss(2)(truth, gaussian(x_px, y_px, 2))) == pytest.approx(0, abs=1e-4)
    assert float(HeatmapLoss(2)(truth, gaussian(x_px + 1, y_px, 2))) == pytest.approx(1 / 8, abs=1e-3)


def test_the_loss_is_keras_divergence_where_that_clips_nothing():
    random = np.random.default_rng(0)
    logits = random.normal(size=(1, 9216, 1)).astype(np.float32)
    target = keras.ops.softmax(gaussian(50, 40, 20), axis=1)
    assert float(np.min(target)) > 1e-7
    expected = keras.losses.kl_divergence(target[..., 0], keras.ops.softmax(logits, axis=1)[..., 0])
    truth = to_unit(np.array([[50, 40]], np.float32))
    assert float(HeatmapLoss(20)(truth, logits)) == pytest.approx(float(expected[0]), rel=1e-4)


def test_a_point_outside_the_frame_and_a_confident_miss_have_finite_losses():
    miss = np.zeros((1, 9216, 1), np.float32)
    miss[0, 0] = 1000
    for x_px in (-300.0, 95.0):
        # The frame's pixel nearest to the truth gets nearly all of it, where the map has e^-1000.
        loss = float(HeatmapLoss(0.1)(to_unit(np.array([[x_px, 95.0]])), miss))
        assert loss == pytest.approx(1000, rel=1e-3)


def test_a_confident_miss_is_pulled_to_the_truth():
    """Where Keras' clipped divergence would be flat, a step of training lowers the loss by much."""
    logits = keras.Variable(np.zeros((1, 9216, 1), np.float32) + 100 * np.eye(1, 9216)[..., None])
    scale = keras.Input((1,))
    layer = _Maps(logits)
    model = keras.Model(scale, layer(scale))
    model.compile(keras.optimizers.SGD(1.0), HeatmapLoss(1), jit_compile=False)
    model.train_on_batch(np.ones((1, 1)), to_unit(np.array([[40.0, 60.0]])))
    # The gradient is the map minus its target: 1 at the miss, minus 1 / (2 pi) at the truth.
    assert array(logits)[0, 0, 0] == pytest.approx(99, abs=1e-3)
    assert array(logits)[0, 60 * 96 + 40, 0] == pytest.approx(1 / (2 * np.pi), abs=1e-3)


class _Maps(keras.layers.Layer):
    """The same logits for every face."""

    def __init__(self, logits: keras.Variable) -> None:
        super().__init__()
        self.logits = logits

    def call(self, scale: Any) -> Any:
        return keras.ops.expand_dims(scale, 1) * self.logits
