import keras
import numpy as np
import pytest

from fkd.core.errors import UserError
from fkd.experiment.network import Convolution, ConvolutionalNetwork, HeatmapNetwork, Network
from fkd.experiment.training import CosineDecay, ExponentialDecay, Optimizer, ReduceOnPlateau, Training
from fkd.training.networks.build import build_model, read_points
from fkd.training.networks.losses import build_loss, build_metric
from fkd.training.networks.optimizers import build_optimizer, build_plateau

CNN = ConvolutionalNetwork(convolutions=(Convolution(filters=1, kernel=3, pool=8),))
HEATMAP = HeatmapNetwork(kind="heatmap", filters=(1,))


@pytest.mark.parametrize("name", ["rmsprop", "sgd", "adagrad", "adam", "adamw", "nadam"])
def test_optimisers_by_name(name: str):
    settings = Optimizer(name=name, learning_rate=0.5, rho=0.8, weight_decay=0.1)
    optimizer = build_optimizer(Training(optimizer=settings), 20, 2)
    assert type(optimizer).__name__.lower() == name
    assert float(optimizer.learning_rate) == 0.5
    assert getattr(optimizer, "rho", 0.8) == 0.8
    assert optimizer.weight_decay == (0.1 if name == "adamw" else None)


def _rate(schedule: object, batches: int) -> float:
    """The learning rate after so many batches of a training with 10 batches an epoch, 1 at its start."""
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


@pytest.mark.parametrize("network", [CNN, HEATMAP], ids=["cnn", "heatmap"])
def test_outputs_and_weights_are_float32_whatever_the_precision_within_is(network: Network):
    model = build_model(network, 1, (0,), "mixed_bfloat16")
    assert model.layers[1].compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    same = build_model(network, 1, (0,))
    assert same.layers[1].compute_dtype == "float32"
    for weight, exact in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, exact)


def test_a_plateau_told_of_all_epochs_again_stands_where_it_stood():
    schedule = ReduceOnPlateau(name="reduce_on_plateau", factor=0.5, patience_epochs=2)
    errors_px = [3.0, 2.0, 2.5, 2.5, 2.5, 2.5]  # two epochs without a better one, twice
    model = build_model(CNN, 1, (0,))
    model.compile(build_optimizer(Training(), 1, 1))
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
    assert float(build_metric(HEATMAP)(corner, logits)) == pytest.approx((0.5 / 48) ** 2, rel=1e-3)


def test_outputs_of_other_networks_are_points_already():
    outputs = np.ones((1, 2), np.float32)
    assert read_points(CNN, outputs) is outputs


def test_the_metric_is_the_mean_over_labelled_coordinates_only():
    truth = np.array([[0, np.nan], [0, 0]], np.float32)
    outputs = np.array([[1, 9], [2, 4]], np.float32)
    assert float(build_metric(CNN)(truth, outputs)) == pytest.approx((1 + 4 + 16) / 3)


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error", "huber", "wing"])
def test_a_missing_label_adds_no_loss_and_no_gradient(loss: str):
    outputs = keras.Variable(np.array([[0.3, 9.0]], np.float32))
    complete, masked = (np.array([[0, missing]], np.float32) for missing in (9.0, np.nan))
    of = build_loss(Training(loss=loss), CNN)
    np.testing.assert_allclose(of(masked, outputs), of(complete, outputs))
    value = keras.ops.convert_to_numpy(of(masked, np.array([[0.3, 1000]], np.float32)))
    np.testing.assert_allclose(value, of(complete, outputs))


def test_hubers_loss_by_hand():
    training = Training(loss="huber", huber_delta_px=48 / 2)
    value = build_loss(training, CNN)(np.zeros((1, 2), np.float32), np.array([[0.25, 2]], np.float32))
    # Half the square up to 0.5; from there on half of the distance beyond 0.25.
    assert float(keras.ops.mean(value)) == pytest.approx((0.25**2 / 2 + 0.5 * (2 - 0.25)) / 2)


def test_the_wing_loss_by_hand():
    training = Training(loss="wing", wing_width_px=48, wing_curvature_px=48 / 2)
    value = build_loss(training, CNN)(np.zeros((1, 2), np.float32), np.array([[0.5, 3]], np.float32))
    # The logarithm of 1 + 2 * error up to 1, ln 3; from there on the distance is added.
    assert float(keras.ops.mean(value)) == pytest.approx((np.log(2) + np.log(3) + 3 - 1) / 2)


def test_the_maps_divergence_is_added_to_a_loss_of_coordinates():
    truth, logits = np.array([[0.1, 0.2]], np.float32), np.zeros((1, 96 * 96, 1), np.float32)

    def loss(**settings: object) -> float:
        return float(keras.ops.mean(build_loss(Training(**settings), HEATMAP)(truth, logits)))

    divergence, error = loss(loss="kl_divergence"), loss(loss="mean_squared_error")
    assert error == pytest.approx((0.1**2 + 0.2**2) / 2, rel=1e-4)  # a flat map points at the middle
    both = loss(loss="mean_squared_error", map_divergence=0.5)
    assert both == pytest.approx(error + 0.5 * divergence)
