"""The chosen members' average of many images."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from exported_models import save_member, selection_report
from small_run import small_faces
from tiny_experiment import BY_SOURCE

from fkd.core.keypoints import KAGGLE15
from fkd.data.faces import Faces
from fkd.ensemble.choice import Choice
from fkd.ensemble.predict import predict_ensemble, predict_test_images
from fkd.ensemble.stacking import Stack
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run
from fkd.training.predict import predict_pixels

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 96, 96), np.uint8)


def _predict(model: keras.Model, experiment: Experiment) -> np.ndarray:
    return predict_pixels(model, experiment, "four", IMAGES)


def _write_members(
    run: Run, experiment: Experiment, members: int, specialist: str = "four"
) -> list[keras.Model]:
    """Members as they were drawn."""
    return [save_member(run, experiment, specialist, index) for index in range(members)]


def test_the_ensemble_fills_each_specialists_points_with_its_weighted_average(
    tmp_path: Path, experiment: Experiment
):
    run = Run(tmp_path / "tiny-faces")
    by_member = [_predict(model, experiment) for model in _write_members(run, experiment, 2)]
    predictions = predict_ensemble(run, experiment, {"four": [1, 0, 1]}, IMAGES)
    expected = (by_member[0] + 2 * by_member[1]) / 3
    np.testing.assert_allclose(predictions[:, KAGGLE15.indices("four")], expected, atol=1e-4)
    assert np.isnan(predictions[:, KAGGLE15.indices("eleven")]).all()


@pytest.mark.parametrize("offset_px", [0.0, 3.0])
def test_test_images_are_predicted_by_their_sources_members(
    tmp_path: Path, tiny_experiment: Path, offset_px: float
):
    settings = [
        BY_SOURCE,
        "specialists.all.members=1",
        f"prediction.label_offsets={str(offset_px > 0).lower()}",
    ]
    experiment, run = load_experiment(str(tiny_experiment), settings), Run(tmp_path / "tiny-faces")
    alone = {}
    for specialist in experiment.specialists:
        [model] = _write_members(run, experiment, 1, specialist)
        alone[specialist] = predict_pixels(model, experiment, specialist, IMAGES)
    asked = {0: 4, 1: 15, 2: 15, 4: 1}  # points by image; nothing is asked of the fourth
    lookup = [(image, name) for image, points in asked.items() for name in KAGGLE15.columns[: 2 * points]]
    faces = dataclasses.replace(
        small_faces(),
        test=Faces(IMAGES, np.full((5, 15, 2), np.nan, np.float32), np.arange(5)),
        lookup=pd.DataFrame(lookup, columns=["ImageId", "FeatureName"]),
    )
    validation = SimpleNamespace(
        offsets_px=lambda members, predicted_px, counts: offset_px * (counts == 4)[:, None, None]
    )
    choice = Choice(
        run,
        experiment,
        faces,
        dict.fromkeys(experiment.specialists, validation),
        [selection_report(specialist, 0) for specialist in experiment.specialists],
    )
    predictions = predict_test_images(choice)
    np.testing.assert_allclose(predictions[0], alone["few"][0] + offset_px, atol=1e-4)
    for image, specialist in ((1, "many"), (2, "many"), (3, "all"), (4, "few")):
        np.testing.assert_allclose(predictions[image], alone[specialist][image], atol=1e-4)


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
