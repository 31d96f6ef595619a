import numpy as np
import pytest

from fkd.experiment.network import Convolution, ConvolutionalNetwork
from fkd.training.networks.build import build_model

SMALL = ConvolutionalNetwork(convolutions=(Convolution(filters=2, kernel=3, pool=2),), dense=(4,))


def test_parameters_of_a_small_network():
    by_hand = 4 + (3 * 3 * 1 + 1) * 2 + (2 + 1) * 4 + (4 + 1) * 8
    assert build_model(SMALL, points=4, seed=(0,)).count_params() == by_hand


def test_normalisation_after_every_convolution_has_four_values_a_filter():
    plain = ConvolutionalNetwork(convolutions=(Convolution(filters=3, kernel=3),) * 2)
    normalised = plain.model_copy(update={"batch_normalisation": True})
    plain_count, count = (build_model(network, 1, (0,)).count_params() for network in (plain, normalised))
    assert count - plain_count == 2 * 4 * 3


def test_normalisation_comes_before_the_activation():
    network = ConvolutionalNetwork(
        convolutions=(Convolution(filters=3, kernel=3, pool=2),),
        input_normalisation="none",
        batch_normalisation=True,
        activation="leaky_relu",
        leaky_relu_slope=0.25,
    )
    layers = build_model(network, 1, (0,)).layers
    names = [type(layer).__name__ for layer in layers[1:5]]
    assert names == ["Conv2D", "BatchNormalization", "LeakyReLU", "MaxPooling2D"]
    assert layers[3].negative_slope == 0.25


def test_input_is_an_image_and_output_two_values_a_point():
    model = build_model(SMALL, points=11, seed=(0,))
    assert model.input_shape == (None, 96, 96, 1)
    assert model.output_shape == (None, 22)
    assert model.layers[-1].activation.__name__ == "linear"


def test_weights_are_a_function_of_the_seed():
    same, again, other = (build_model(SMALL, 4, seed).get_weights() for seed in ((1, 2), (1, 2), (1, 3)))
    for a, b in zip(same, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(same, other, strict=True))


def test_every_layer_draws_its_own_weights():
    twice = ConvolutionalNetwork(convolutions=(Convolution(filters=4, kernel=1),) * 2)
    model = build_model(twice, 2, (0,))
    kernels = [layer.kernel.numpy().ravel() for layer in model.layers if hasattr(layer, "kernel")]
    assert not np.array_equal(kernels[0][:4], kernels[1][:4])


def test_kernels_are_he_normal():
    wide = ConvolutionalNetwork(convolutions=(Convolution(filters=64, kernel=5),) * 2, dense=(100,))
    model = build_model(wide, points=4, seed=(0,))
    kernels = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    for kernel in kernels:
        fan_in = np.prod(kernel.shape[:-1])
        sampling_error = 4 / np.sqrt(2 * kernel.size)
        assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=sampling_error)
