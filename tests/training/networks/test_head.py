import itertools

import keras
import numpy as np
import pytest

from fkd.experiment.network import Dense, Head
from fkd.training.networks.head import activation, add_head


def _head(settings: Head, outputs: int = 2) -> keras.Model:
    features = keras.Input((3, 5, 4))
    return keras.Model(features, add_head(features, settings, outputs, itertools.count()))


@pytest.mark.parametrize(("head", "inputs"), [("global_average", 4), ("flatten", 3 * 5 * 4)])
def test_maps_become_a_vector(head: str, inputs: int):
    assert _head(Head(head=head)).count_params() == (inputs + 1) * 2


def test_layers_in_order():
    settings = Head(dropout=0.1, dense=(Dense(units=6, dropout=0.5), Dense(units=3)))
    names = [type(layer).__name__ for layer in _head(settings).layers[1:]]
    dense = ["Dense", "ReLU"]
    assert names == ["GlobalAveragePooling2D", "Dropout", *dense, "Dropout", *dense, "Dense"]


def test_a_scaled_sigmoid_spans_the_frame():
    model = _head(Head(output="scaled_sigmoid"), outputs=1)
    weights = [np.array([[1.0], [0], [0], [0]]), np.zeros(1)]
    model.set_weights(weights)
    features = np.zeros((3, 3, 5, 4), np.float32)
    features[..., 0] = np.array([-50.0, 0.0, 50.0])[:, None, None]
    outputs = model.predict_on_batch(features).ravel()
    np.testing.assert_allclose(outputs, [-1, 0, 1], atol=1e-6)  # the frame's edges and its centre


@pytest.mark.parametrize(("name", "expected"), [("relu", 0.0), ("leaky_relu", -0.5)])
def test_activations(name: str, expected: float):
    layer = activation(Head(activation=name, leaky_relu_slope=0.25))
    np.testing.assert_allclose(layer(np.array([-2.0, 2.0], np.float32)), [expected, 2.0])


def test_dropout_draws_from_its_own_seed():
    settings = Head(dropout=0.5)
    features = np.ones((1, 3, 5, 4), np.float32)
    first, again = (_head(settings)(features, training=True) for _ in range(2))
    np.testing.assert_array_equal(first, again)
