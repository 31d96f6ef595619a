import keras
import numpy as np
import pytest

from fkd.models.build import (
    build_loss,
    build_metric,
    build_model,
    build_optimizer,
    build_plateau,
    read_points,
)
from fkd.settings.network import Convolution, ConvolutionalNetwork, HeatmapNetwork
from fkd.settings.training import CosineDecay, ExponentialDecay, Optimizer, ReduceOnPlateau, Training

CNN = ConvolutionalNetwork(convolutions=(Convolution(filters=1, kernel=3, pool=8),))
HEATMAP = HeatmapNetwork(kind="heatmap", filters=(1,))


@pytest.mark.parametrize("name", ["rmsprop", "sgd", "adagrad", "adam", "nadam"])
def test_optimisers_by_name(name: str):
    optimizer = build_optimizer(Training(optimizer=Optimizer(name=name, learning_rate=0.5, rho=0.8)), 1)
    assert type(optimizer).__name__.lower() == name
    assert float(optimizer.learning_rate) == 0.5
    assert getattr(optimizer, "rho", 0.8) == 0.8


def _rate(schedule: object, batches: int) -> float:
    """The learning rate after so many batches of a training with 10 batches an epoch, 1 at its start."""
    training = Training(optimizer=Optimizer(name="sgd", learning_rate=1.0), schedule=schedule)
    optimizer = build_optimizer(training, batches_per_epoch=10)
    optimizer.build([])
    optimizer.iterations.assign(batches)
    return float(optimizer.learning_rate)


@pytest.mark.parametrize(("batches", "expected"), [(0, 1), (249, 1), (250, 0.08), (500, 0.0064)])
def test_steps_every_25_epochs(batches: int, expected: float):
    steps = ExponentialDecay(name="exponential_decay", rate=0.08, epochs=25, staircase=True)
    assert _rate(steps, batches) == pytest.approx(expected)


def test_smooth_decay():
    smooth = ExponentialDecay(name="exponential_decay", rate=0.25, epochs=2)
    assert _rate(smooth, 10) == pytest.approx(0.5)


@pytest.mark.parametrize(("batches", "expected"), [(0, 1), (20, 0.5), (40, 0)])
def test_half_a_cosine(batches: int, expected: float):
    assert _rate(CosineDecay(name="cosine_decay", epochs=4), batches) == pytest.approx(expected, abs=1e-6)


def test_a_plateau_told_of_all_epochs_again_stands_where_it_stood():
    schedule = ReduceOnPlateau(name="reduce_on_plateau", factor=0.5, patience_epochs=2)
    errors_px = [3.0, 2.0, 2.5, 2.5, 2.5, 2.5]  # two epochs without a better one, twice
    model = build_model(CNN, 1, (0,))
    model.compile(build_optimizer(Training(), 1))
    rates = []
    for told in range(1, len(errors_px) + 1):
        plateau = build_plateau(schedule, model, learning_rate=1.0)
        for epoch, error_px in enumerate(errors_px[:told]):
            plateau.on_epoch_end(epoch, {"validation_rmse_px": error_px})
        rates.append(float(model.optimizer.learning_rate))
    assert rates == [1, 1, 1, 0.5, 0.5, 0.25]


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
    value = build_loss(Training(loss=loss), CNN)(np.zeros((1, 2), np.float32), np.array([[3, 4]], np.float32))
    assert float(keras.ops.mean(value)) == pytest.approx(expected)


def test_the_metric_is_the_squared_error_of_the_points_whatever_the_outputs_are():
    logits = np.full((1, 96 * 96, 1), -50, np.float32)
    logits[0, 0] = 50  # all on the first pixel, whose centre is half a pixel from the frame's corner
    corner = np.full((1, 2), -1, np.float32)
    np.testing.assert_allclose(read_points(HEATMAP, logits), corner + 0.5 / 48, atol=1e-6)
    metric = build_metric(HEATMAP)
    metric.update_state(corner, logits)
    assert float(metric.result()) == pytest.approx((0.5 / 48) ** 2, rel=1e-3)


def test_outputs_of_other_networks_are_points_already():
    outputs = np.ones((1, 2), np.float32)
    assert read_points(CNN, outputs) is outputs
