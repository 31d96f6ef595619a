from typing import get_args

import numpy as np
import pytest

from fkd.experiment.network import (
    Convolution,
    ConvolutionalNetwork,
    Dense,
    HeatmapNetwork,
    Network,
    ResidualNetwork,
    ResNet,
)
from fkd.training.networks.build import build_model, load_pretrained
from fkd.training.networks.codecs import codec_of

CNN = ConvolutionalNetwork(convolutions=(Convolution(filters=1, kernel=3, pool=8),))
HEATMAP = HeatmapNetwork(kind="heatmap", filters=(1,))
RESIDUAL = ResidualNetwork(kind="residual", filters=(1, 1))
RESNET = ResNet(kind="resnet", depth=50)


@pytest.mark.parametrize("network", [CNN, HEATMAP], ids=["cnn", "heatmap"])
def test_outputs_and_weights_are_float32_whatever_the_precision_within_is(network: Network):
    model = build_model(network, 1, (0,), "mixed_bfloat16")
    assert model.layers[1].compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    same = build_model(network, 1, (0,))
    assert same.layers[1].compute_dtype == "float32"
    for weight, exact in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, exact)


@pytest.mark.parametrize("network", [CNN, HEATMAP, RESIDUAL, RESNET], ids=lambda network: network.kind)
def test_every_kind_is_built_for_its_codec(network: Network):
    model = build_model(network, 3, (0,))
    assert model.output.shape[-1] == codec_of(network).channels(3)
    weights = model.get_weights()
    load_pretrained(model, network)  # none are asked for, or to be had
    for weight, same in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.parametrize(
    "network",
    [
        ConvolutionalNetwork(
            convolutions=(
                Convolution(filters=16, kernel=5, pool=4),
                Convolution(filters=32, kernel=3, pool=4),
            ),
            head="flatten",
            dense=(Dense(units=50), Dense(units=20)),
        ),
        HeatmapNetwork(kind="heatmap", filters=(16, 32, 64)),
        ResidualNetwork(kind="residual", filters=(16, 32, 64), blocks=2),
        RESNET,
    ],
    ids=lambda network: network.kind,
)
def test_parameters_are_known_about_right_before_a_network_is_built(network: Network):
    known, built = (
        network.parameters(codec_of(network).channels(3)),
        build_model(network, 3, (0,)).count_params(),
    )
    assert known == pytest.approx(built, rel=0.1)


def test_every_kind_is_listed_here():
    kinds = {get_args(kind)[0] for kind in get_args(get_args(Network)[0])}
    assert kinds == {type(network) for network in (CNN, HEATMAP, RESIDUAL, RESNET)}
