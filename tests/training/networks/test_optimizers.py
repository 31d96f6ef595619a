import keras
import numpy as np
import pytest

from fkd.core.errors import UserError
from fkd.experiment.network import Convolution, ConvolutionalNetwork
from fkd.experiment.training import CosineDecay, ExponentialDecay, Optimizer, Training
from fkd.training.networks.optimizers import build_optimizer

CNN = ConvolutionalNetwork(convolutions=(Convolution(filters=1, kernel=3, pool=8),))


@pytest.mark.parametrize("name", ["rmsprop", "sgd", "adagrad", "adam", "adamw", "nadam"])
def test_optimisers_by_name(name: str):
    settings = Optimizer(name=name, learning_rate=0.5, rho=0.8, weight_decay=0.1)
    optimizer = build_optimizer(Training(optimizer=settings), 20, 2)
    assert type(optimizer).__name__.lower() == name
    assert float(optimizer.learning_rate) == 0.5
    assert getattr(optimizer, "rho", 0.8) == 0.8
    assert optimizer.weight_decay == (0.1 if name == "adamw" else None)


def _rate(schedule: object, batches: int) -> float:
    """The learning rate after this many batches of a training with 10 batches an epoch, 1 at its start."""
    optimizer = Optimizer(name="sgd", learning_rate=1.0)
    training = Training(optimizer=optimizer, schedule=schedule, max_epochs=5)
    optimizer = build_optimizer(training, images_per_epoch=19, batch_size=2)
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


@pytest.mark.parametrize(("batches", "expected"), [(0, 0), (5, 0.5), (10, 1), (30, 0.5), (50, 0)])
def test_a_warm_up_and_half_a_cosine_to_the_end_of_the_training(batches: int, expected: float):
    schedule = CosineDecay(name="cosine_decay", warmup_epochs=1)
    assert _rate(schedule, batches) == pytest.approx(expected, abs=1e-6)


def test_a_warm_up_as_long_as_the_schedule_is_refused():
    with pytest.raises(UserError, match=r"expected less than the 2 epochs of the schedule, received 2"):
        _rate(CosineDecay(name="cosine_decay", epochs=2, warmup_epochs=2), 0)


def test_adamw_is_keras_own_and_asks_for_the_rate_once_a_step(monkeypatch: pytest.MonkeyPatch):
    settings = Optimizer(name="adamw", learning_rate=0.5, weight_decay=0.1)
    training = Training(optimizer=settings, schedule=CosineDecay(name="cosine_decay"), max_epochs=5)
    ours = build_optimizer(training, images_per_epoch=19, batch_size=2)
    theirs = keras.optimizers.AdamW.from_config(ours.get_config())
    steps = []
    schedule = keras.optimizers.schedules.CosineDecay
    rate = schedule.__call__
    monkeypatch.setattr(schedule, "__call__", lambda self, step: (steps.append(step), rate(self, step))[1])
    weights, calls = [], []
    for optimizer in (ours, theirs):
        variables = [keras.Variable(np.linspace(-1, 1, 7 + size)) for size in range(5)]
        optimizer.build(variables)
        steps.clear()
        for step in range(1, 4):
            optimizer.apply([keras.ops.sin(step * variable) for variable in variables])
        weights.append([variable.numpy() for variable in variables])
        calls.append(len(steps))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert calls == [3 * 2, 3 * (5 + 1)]  # for the decay and the step


def test_the_average_of_the_weights_is_the_optimisers():
    optimizer = build_optimizer(Training(weight_averaging=0.75), 10, 2)
    weight = keras.Variable([0.0])
    optimizer.build([weight])
    optimizer.learning_rate = 0.0
    for value in (4.0, 8.0):  # the first value starts the average
        weight.assign([value])
        optimizer.apply([keras.ops.zeros(1)])
    average = keras.Variable([0.0])
    optimizer.finalize_variable_values([average])
    assert float(average[0]) == 0.75 * 4 + 0.25 * 8
