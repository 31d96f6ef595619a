from pathlib import Path

import keras
import numpy as np
import pytest

from fkd.experiment.files import load_experiment
from fkd.training.augment import Batch
from fkd.training.network_pool import NetworkPool
from fkd.training.networks.build import build_model


def _pool(tiny_experiment: Path, *settings: str) -> NetworkPool:
    return NetworkPool(load_experiment(str(tiny_experiment), settings), "four", images_per_epoch=20)


def _batch(seed: int, images: int = 8) -> Batch:
    rng = np.random.default_rng(seed)
    pixels = rng.random((images, 96, 96, 1), dtype=np.float32)
    return pixels, rng.uniform(-1, 1, (images, 8)).astype(np.float32)


def _values(pool: NetworkPool, model: keras.Model) -> list[np.ndarray]:
    pool.settle()
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def _alone(tiny_experiment: Path, seed: int, *settings: str) -> tuple[list[np.ndarray], list[dict]]:
    """A member after three steps in a pool of its own."""
    pool = _pool(tiny_experiment, *settings)
    model = pool.take((seed,))
    metrics = [pool.train([model], [_batch(10 * seed + step)])[0] for step in range(3)]
    return _values(pool, model), metrics


@pytest.mark.parametrize("settings", [(), ("network.dropout=0.5", "training.optimizer.name=adamw")])
def test_members_trained_at_once_are_those_trained_alone(tiny_experiment: Path, settings: tuple[str, ...]):
    pool = _pool(tiny_experiment, *settings)
    models = [pool.take((seed,)) for seed in range(3)]
    metrics = [pool.train(models, [_batch(10 * seed + step) for seed in range(3)]) for step in range(3)]
    for seed, model in enumerate(models):
        values, expected = _alone(tiny_experiment, seed, *settings)
        for value, alone in zip(_values(pool, model), values, strict=True):
            np.testing.assert_allclose(value, alone, rtol=1e-4, atol=1e-6)
        for step in range(3):
            assert metrics[step][seed] == pytest.approx(expected[step], rel=1e-4)


def test_several_steps_are_those_of_one_after_the_other(tiny_experiment: Path):
    pool = _pool(tiny_experiment)
    models = [pool.take((seed,)) for seed in range(2)]
    batches = [[_batch(10 * seed + step) for step in range(3)] for seed in range(2)]
    metrics = pool.train_several(models, batches)
    for seed, model in enumerate(models):
        values, expected = _alone(tiny_experiment, seed)
        for value, alone in zip(_values(pool, model), values, strict=True):
            np.testing.assert_allclose(value, alone, rtol=1e-4, atol=1e-6)
        for step in range(3):
            assert metrics[seed][step] == pytest.approx(expected[step], rel=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="networks are stacked on JAX alone")
def test_stacked_networks_are_those_trained_alone(tiny_experiment: Path):
    settings = ("network.dropout=0.5", "training.optimizer.name=adamw")
    pool = NetworkPool(load_experiment(str(tiny_experiment), settings), "four", 20, layout="stacked")
    models = [pool.take((seed,)) for seed in range(2)]
    for step in range(3):
        pool.train(models, [_batch(10 * seed + step) for seed in range(2)])
    for seed, model in enumerate(models):
        for value, alone in zip(
            _values(pool, model), _alone(tiny_experiment, seed, *settings)[0], strict=True
        ):
            np.testing.assert_allclose(value, alone, rtol=1e-4, atol=1e-6)
    pool.train(models, [_batch(0), _batch(1, images=3)])  # at the end of an epoch, of one of them


def test_networks_judged_at_once_are_those_judged_alone(tiny_experiment: Path):
    pool = _pool(tiny_experiment, "training.weight_averaging=0.5")
    models = [pool.take((seed,)) for seed in range(3)]
    pool.train(models, [_batch(seed) for seed in range(3)])
    images = np.random.default_rng(0).integers(0, 256, (130, 96, 96), np.uint8)  # a batch, and two
    truth_px = np.full((130, 4, 2), 50, np.float32)
    at_once = pool.judge(models, images, truth_px)
    for model, judged in zip(models, at_once, strict=True):
        [alone] = pool.judge([model], images, truth_px)
        np.testing.assert_allclose(judged.predictions_px, alone.predictions_px, atol=1e-4)
        assert judged.loss == pytest.approx(alone.loss, rel=1e-5)
        outputs = pool.evaluated(model).predict_on_batch(images[..., None] / np.float32(255))
        expected_px = (outputs.reshape(-1, 4, 2) + 1) * 48 - 0.5
        np.testing.assert_allclose(alone.predictions_px, expected_px, atol=1e-3)
        error = np.square((expected_px - truth_px) / 48).reshape(130, -1)
        assert alone.loss == pytest.approx(np.mean(error), rel=1e-3)


def test_a_network_handed_on_is_as_good_as_new(tiny_experiment: Path):
    settings = ("network.dropout=0.5", "training.weight_averaging=0.5")
    pool = _pool(tiny_experiment, *settings)
    first = pool.take((0,))
    pool.train([first], [_batch(99)])
    pool.give_back(first)
    second = pool.take((1,))
    assert second is first
    for step in range(3):
        pool.train([second], [_batch(10 + step)])
    for value, alone in zip(_values(pool, second), _alone(tiny_experiment, 1, *settings)[0], strict=True):
        np.testing.assert_array_equal(value, alone)


def test_a_network_starts_with_the_weights_of_its_seed(tiny_experiment: Path):
    experiment = load_experiment(str(tiny_experiment))
    expected = build_model(experiment.network, 4, (3, 4)).get_weights()
    for weight, fresh in zip(_pool(tiny_experiment).take((3, 4)).get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weight, fresh)


def test_a_step_s_metrics_are_those_of_its_batch(tiny_experiment: Path):
    still = ("training.optimizer.learning_rate=1.0e-12", "network.input_normalisation=none")
    pool = _pool(tiny_experiment, *still, "training.loss=mean_absolute_error")
    model = pool.take((0,))
    images, truth = _batch(0, images=3)
    error = model.predict_on_batch(images) - truth
    for _ in range(2):  # nothing is left over from the batch before
        metrics = pool.train([model], [(images, truth)])[0]
        assert metrics == pytest.approx(
            {"loss": np.abs(error).mean(), "squared_error": np.square(error).mean()}, rel=1e-5
        )


@pytest.mark.parametrize(("here", "computed"), [("mixed_bfloat16", "bfloat16"), ("float32", "float32")])
def test_steps_are_in_the_precision_of_this_machine(
    tiny_experiment: Path, monkeypatch: pytest.MonkeyPatch, here: str, computed: str
):
    monkeypatch.setattr("fkd.training.network_pool.precision_here", {"mixed_bfloat16": here}.get)
    model = _pool(tiny_experiment, "training.precision=mixed_bfloat16").take((0,))
    assert model.layers[1].compute_dtype == computed
    assert model.layers[1].variable_dtype == "float32"


def test_what_is_judged_is_the_network_or_its_average_in_float32(tiny_experiment: Path):
    rate = "training.optimizer={name: sgd, learning_rate: 0.1}"
    plain = _pool(tiny_experiment, rate, "training.precision=mixed_float16")
    averaging = _pool(tiny_experiment, rate, "training.weight_averaging=0.75")
    for pool, share in ((plain, 1.0), (averaging, 0.25)):
        model = pool.take((0,))
        pool.train([model], [_batch(0)])
        pool.settle()
        before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables]
        pool.train([model], [_batch(1)])
        judged = pool.evaluated(model)
        assert judged.layers[-1].compute_dtype == judged.layers[1].compute_dtype == "float32"
        for weight, old, now in zip(
            judged.trainable_variables, before, model.trainable_variables, strict=True
        ):
            expected = (1 - share) * old + share * keras.ops.convert_to_numpy(now)
            np.testing.assert_allclose(keras.ops.convert_to_numpy(weight), expected, atol=1e-6)
