from typing import get_args

import numpy as np
import pytest

from fkd.experiment.network import (
    Convolution,
    ConvolutionalNetwork,
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


def test_the_test_above_lists_every_kind():
    kinds = {get_args(kind)[0] for kind in get_args(get_args(Network)[0])}
    assert kinds == {type(network) for network in (CNN, HEATMAP, RESIDUAL, RESNET)}
