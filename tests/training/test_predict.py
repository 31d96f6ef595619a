from pathlib import Path

import keras
import numpy as np

from fkd.core.keypoints import KAGGLE15
from fkd.ensemble.predict import predict_ensemble
from fkd.ensemble.stacking import Stack
from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Prediction
from fkd.experiment.store import Run
from fkd.training.networks.build import build_model
from fkd.training.networks.codecs import codec_of
from fkd.training.predict import predict_pixels, predict_view
from fkd.training.test_time_augmentation import view_matrices

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 96, 96), np.uint8)


def _mean_grey_model() -> keras.Model:
    """Answers the image's mean grey value as x and its negative as y."""
    image = keras.Input((96, 96, 1))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, keras.layers.Concatenate()([mean, -mean]))


def _predict(model: keras.Model, experiment: Experiment, images: np.ndarray = IMAGES) -> np.ndarray:
    return predict_pixels(model, experiment, "four", images)


def test_outputs_become_pixels_in_the_images_order(experiment: Experiment):
    greys = np.array([0, 51, 255], np.uint8)  # 0, 0.2 and 1
    images = np.broadcast_to(greys[:, None, None], (3, 96, 96))
    expected = [[[47.5, 47.5]], [[57.1, 37.9]], [[95.5, -0.5]]]
    np.testing.assert_allclose(_predict(_mean_grey_model(), experiment, images), expected, atol=1e-4)


def test_more_images_than_fit_one_batch(experiment: Experiment):
    images = np.zeros((600, 96, 96), np.uint8)
    images[599] = 255
    predictions = _predict(_mean_grey_model(), experiment, images)
    assert predictions.shape == (600, 1, 2)
    np.testing.assert_allclose(predictions[[0, 255, 256, 599], 0, 0], [47.5, 47.5, 47.5, 95.5], atol=1e-4)


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


def test_what_is_read_with_the_mirror_is_mirrored_with_the_picture(experiment: Experiment):
    model = build_model(experiment.network, 4, (1,))
    with_mirror = experiment.model_copy(update={"prediction": Prediction(mirrored=True)})
    twins = [1, 0, 2, 3]  # the eyes change places, nose and mouth stay
    points, mirrored = _predict(model, with_mirror), _predict(model, with_mirror, IMAGES[..., ::-1])
    np.testing.assert_allclose(mirrored[..., 0], 95 - points[:, twins, 0], atol=1e-3)
    np.testing.assert_allclose(mirrored[..., 1], points[:, twins, 1], atol=1e-3)
    assert np.abs(points - _predict(model, experiment)).max() > 0.01


def test_views_are_averaged_where_the_faces_are(experiment: Experiment):
    model = build_model(experiment.network, 4, (1,))
    in_three = experiment.model_copy(update={"prediction": Prediction(views=3)})
    codec = codec_of(experiment.network)
    by_view = [predict_view(model, codec, None, IMAGES, matrix)[0] for matrix in view_matrices(3)]
    np.testing.assert_allclose(_predict(model, in_three), np.mean(by_view, axis=0), atol=1e-4)
    np.testing.assert_allclose(by_view[0], _predict(model, experiment), atol=1e-4)
