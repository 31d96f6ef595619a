import keras
import numpy as np

from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Prediction
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
