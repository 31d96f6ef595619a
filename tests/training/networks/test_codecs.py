import keras
import numpy as np
import pytest

from fkd.experiment.network import Convolution, ConvolutionalNetwork, HeatmapNetwork
from fkd.experiment.training import Training
from fkd.training.networks.codecs import codec_of

CNN = ConvolutionalNetwork(convolutions=(Convolution(filters=1, kernel=3, pool=8),))
HEATMAP = HeatmapNetwork(kind="heatmap", filters=(1,))


def test_the_metric_is_the_squared_error_of_the_points_whatever_the_outputs_are():
    logits = np.full((1, 96 * 96, 1), -50, np.float32)
    logits[0, 0] = 50  # all on the first pixel, whose centre is half a pixel from the frame's corner
    corner = np.full((1, 2), -1, np.float32)
    np.testing.assert_allclose(codec_of(HEATMAP).read(logits), corner + 0.5 / 48, atol=1e-6)
    assert float(codec_of(HEATMAP).squared_error(corner, logits)) == pytest.approx((0.5 / 48) ** 2, rel=1e-3)


def test_outputs_of_other_networks_are_points_already():
    outputs = np.ones((1, 2), np.float32)
    assert codec_of(CNN).read(outputs) is outputs


def test_the_metric_is_the_mean_over_labelled_coordinates_only():
    truth = np.array([[0, np.nan], [0, 0]], np.float32)
    outputs = np.array([[1, 9], [2, 4]], np.float32)
    assert float(codec_of(CNN).squared_error(truth, outputs)) == pytest.approx((1 + 4 + 16) / 3)


def test_the_maps_divergence_is_added_to_a_loss_of_coordinates():
    truth, logits = np.array([[0.1, 0.2]], np.float32), np.zeros((1, 96 * 96, 1), np.float32)

    def loss(**settings: object) -> float:
        return float(keras.ops.mean(codec_of(HEATMAP).loss(Training(**settings))(truth, logits)))

    divergence, error = loss(loss="kl_divergence"), loss(loss="mean_squared_error")
    assert error == pytest.approx((0.1**2 + 0.2**2) / 2, rel=1e-4)  # a flat map points at the middle
    both = loss(loss="mean_squared_error", map_divergence=0.5)
    assert both == pytest.approx(error + 0.5 * divergence)
