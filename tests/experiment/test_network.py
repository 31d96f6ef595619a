import pytest
from pydantic import TypeAdapter, ValidationError

from fkd.experiment.network import Network

NETWORK = TypeAdapter(Network)
SHRINKING = {"filters": 1, "kernel": 5, "pool": 4}  # 96 -> 23 -> 4 -> 0


def test_a_network_is_plain_unless_it_says_otherwise():
    convolutions = [SHRINKING, SHRINKING]
    assert NETWORK.validate_python({"convolutions": convolutions}).kind == "cnn"
    assert NETWORK.validate_python({"kind": "resnet", "depth": 18}).weights == "none"
    assert NETWORK.validate_python({"kind": "heatmap", "filters": [4]}).sigma_px == 2


def test_bare_numbers_are_units():
    network = NETWORK.validate_python(
        {"convolutions": [SHRINKING], "dense": [5, {"units": 3, "dropout": 0.5}]}
    )
    assert [(layer.units, layer.dropout) for layer in network.dense] == [(5, 0), (3, 0.5)]


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"convolutions": [SHRINKING] * 3}, "convolution 3 leaves a feature map smaller than one pixel"),
        ({"convolutions": []}, "at least 1 item"),
        ({"convolutions": [SHRINKING], "dense": [0]}, "greater than 0"),
        ({"convolutions": [SHRINKING], "dropout": 1.0}, "less than 1"),
        ({"kind": "heatmap", "filters": [1] * 7}, "expected at most 6 levels, for a map of 96 px"),
        ({"kind": "resnet", "depth": 101}, "Input should be 18, 34 or 50"),
        ({"kind": "resnet", "depth": 18, "convolutions": [SHRINKING]}, "Extra inputs are not permitted"),
        ({"kind": "transformer"}, "transformer"),
    ],
)
def test_what_cannot_be_is_refused(network: dict[str, object], words: str):
    with pytest.raises(ValidationError, match=words):
        NETWORK.validate_python(network)


def test_halving_96_pixels_five_times_is_allowed():
    assert len(NETWORK.validate_python({"kind": "heatmap", "filters": [1] * 6}).filters) == 6
