import keras
import numpy as np
import pytest

from fkd.experiment.training import Training
from fkd.training.networks.losses import CoordinateLoss


def _loss(**settings: object) -> CoordinateLoss:
    """The loss of outputs that are coordinates already."""
    return CoordinateLoss(Training(**settings), read=lambda outputs: outputs)


def _mean_loss(outputs: list[float], **settings: object) -> float:
    """The loss of one face whose true coordinates are 0."""
    truth = np.zeros((1, len(outputs)), np.float32)
    return float(keras.ops.mean(_loss(**settings)(truth, np.array([outputs], np.float32))))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mean_squared_error", (9 + 16) / 2),
        ("root_mean_squared_error", (25 / 2) ** 0.5),
        ("mean_absolute_error", 3.5),
        ("huber", (2.5 + 3.5) / 2),
    ],
)
def test_losses_by_name(loss: str, expected: float):
    assert _mean_loss([3, 4], loss=loss) == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error", "huber", "wing"])
def test_a_missing_label_adds_no_loss_and_no_gradient(loss: str):
    outputs = keras.Variable(np.array([[0.3, 9.0]], np.float32))
    complete, masked = (np.array([[0, missing]], np.float32) for missing in (9.0, np.nan))
    of = _loss(loss=loss)
    np.testing.assert_allclose(of(masked, outputs), of(complete, outputs))
    value = keras.ops.convert_to_numpy(of(masked, np.array([[0.3, 1000]], np.float32)))
    np.testing.assert_allclose(value, of(complete, outputs))


def test_hubers_loss_by_hand():
    # Half the square up to 0.5; from there on half of the distance beyond 0.25.
    expected = (0.25**2 / 2 + 0.5 * (2 - 0.25)) / 2
    assert _mean_loss([0.25, 2], loss="huber", huber_delta_px=48 / 2) == pytest.approx(expected)


def test_the_wing_loss_by_hand():
    # The logarithm of 1 + 2 * error up to 1, ln 3; from there on the distance is added.
    expected = (np.log(2) + np.log(3) + 3 - 1) / 2
    value = _mean_loss([0.5, 3], loss="wing", wing_width_px=48, wing_curvature_px=48 / 2)
    assert value == pytest.approx(expected)
