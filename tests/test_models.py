import numpy as np
import pytest

from fkd.errors import UserError
from fkd.experiment import Convolution, Network, Optimizer, load_experiment
from fkd.models.build import build_model, build_optimizer

SMALL = Network(convolutions=(Convolution(filters=2, kernel=3, pool=2),), dense=(4,))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Network:
    monkeypatch.chdir(request.config.rootpath)
    return load_experiment("ensemble").network


def test_the_published_network_has_208470_weights(published: Network):
    by_hand = (
        4  # batch normalisation of one channel
        + (5 * 5 * 1 + 1) * 24
        + (5 * 5 * 24 + 1) * 36
        + (5 * 5 * 36 + 1) * 48
        + (3 * 3 * 48 + 1) * 64
        + (3 * 3 * 64 + 1) * 64
        + (64 + 1) * 500
        + (500 + 1) * 90
        + (90 + 1) * 8
    )
    assert by_hand == 208_470
    assert build_model(published, points=4, seed=(0,)).count_params() == by_hand


def test_input_is_an_image_and_output_two_values_a_point(published: Network):
    model = build_model(published, points=11, seed=(0,))
    assert model.input_shape == (None, 96, 96, 1)
    assert model.output_shape == (None, 22)
    assert model.layers[-1].activation.__name__ == "linear"


def test_weights_are_a_function_of_the_seed():
    same, again, other = (build_model(SMALL, 4, seed).get_weights() for seed in ((1, 2), (1, 2), (1, 3)))
    for a, b in zip(same, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(same, other, strict=True))


def test_every_layer_draws_its_own_weights():
    twice = Network(convolutions=(Convolution(filters=4, kernel=1), Convolution(filters=4, kernel=1)))
    model = build_model(twice, 2, (0,))
    kernels = [layer.kernel.numpy().ravel() for layer in model.layers if hasattr(layer, "kernel")]
    assert not np.array_equal(kernels[1][:4], kernels[2][:4])


def test_kernels_are_he_normal(published: Network):
    model = build_model(published, points=4, seed=(0,))
    kernels = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    for kernel in kernels:
        fan_in = np.prod(kernel.shape[:-1])
        sampling_error = 4 / np.sqrt(2 * kernel.size)
        assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=sampling_error)


def test_a_network_that_shrinks_below_one_pixel_is_refused():
    deep = Network(convolutions=(Convolution(filters=1, kernel=5, pool=4),) * 3)
    with pytest.raises(UserError, match="convolution 3 leaves a feature map smaller than one pixel"):
        build_model(deep, 4, (0,))


@pytest.mark.parametrize("name", ["rmsprop", "sgd", "adagrad"])
def test_optimisers_by_name(name: str):
    optimizer = build_optimizer(Optimizer(name=name, learning_rate=0.5, rho=0.8))
    assert type(optimizer).__name__.lower() == name
    assert float(optimizer.learning_rate) == 0.5
    assert getattr(optimizer, "rho", 0.8) == 0.8
