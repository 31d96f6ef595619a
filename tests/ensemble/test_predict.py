"""The chosen members' average of many images."""

from pathlib import Path

import keras
import numpy as np

from fkd.core.keypoints import KAGGLE15
from fkd.ensemble.predict import predict_ensemble
from fkd.ensemble.stacking import Stack
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.training.networks.build import build_model
from fkd.training.predict import predict_pixels

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 96, 96), np.uint8)


def _predict(model: keras.Model, experiment: Experiment) -> np.ndarray:
    return predict_pixels(model, experiment, "four", IMAGES)


def _write_members(run: Run, experiment: Experiment, members: int) -> list[keras.Model]:
    """Four-point members as they were drawn."""
    models = []
    for index in range(members):
        model = build_model(experiment.network, 4, experiment.member_seed("four", index))
        run.member("four", index).path.mkdir(parents=True)
        model.save_weights(run.member("four", index).best_weights)
        models.append(model)
    return models


def test_the_ensemble_fills_each_specialists_points_with_its_weighted_average(
    tmp_path: Path, experiment: Experiment
):
    run = Run(tmp_path / "tiny-faces")
    by_member = [_predict(model, experiment) for model in _write_members(run, experiment, 2)]
    predictions = predict_ensemble(run, experiment, {"four": [1, 0, 1]}, IMAGES)
    expected = (by_member[0] + 2 * by_member[1]) / 3
    np.testing.assert_allclose(predictions[:, KAGGLE15.indices("four")], expected, atol=1e-4)
    assert np.isnan(predictions[:, KAGGLE15.indices("eleven")]).all()


def test_a_stack_has_its_weights_by_point(tmp_path: Path, experiment: Experiment):
    run = Run(tmp_path / "tiny-faces")
    by_member = [_predict(model, experiment) for model in _write_members(run, experiment, 2)]
    weights = np.array([[0.25, 0.5, 1.0, 2.0], [0.75, 0.5, 0.0, -1.0]])
    predictions = predict_ensemble(run, experiment, {"four": Stack((0, 1), weights)}, IMAGES)
    expected = by_member[0] * weights[0][:, None] + by_member[1] * weights[1][:, None]
    np.testing.assert_allclose(predictions[:, KAGGLE15.indices("four")], expected, atol=1e-4)


def test_a_members_predictions_are_the_same_in_whatever_company(tmp_path: Path, experiment: Experiment):
    run = Run(tmp_path / "tiny-faces")
    models = _write_members(run, experiment, 3)
    alone = [_predict(model, experiment) for model in models]
    predictions = predict_ensemble(run, experiment, {"four": range(3)}, IMAGES)
    expected = np.mean(alone, axis=0, dtype=np.float64)
    np.testing.assert_array_equal(predictions[:, KAGGLE15.indices("four")], expected)
