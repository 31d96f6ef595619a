"""The augmentation part: the changes shown are the experiment's, made by the code that trains."""

import numpy as np
import pandas as pd

from fkd.core.keypoints import KAGGLE15
from fkd.data.faces import FaceData, Faces
from fkd.experiment.experiment import Experiment
from fkd.experiment.specialists import Variant
from fkd.report.figures.augmentation_figures import (
    augmentation_section,
    best_labelled_row,
    draw_changes,
    only,
    used_changes,
)
from fkd.report.page import page_html

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8)
KEYPOINTS = np.random.default_rng(1).uniform(20, 76, (3, 15, 2)).astype(np.float32)
KEYPOINTS[0, 3] = np.nan
FACES = Faces(IMAGES, KEYPOINTS, np.arange(3))
FACE = FACES.take(np.array([1]))
NOTHING = pd.DataFrame()
DATA = FaceData("some", "abc", KAGGLE15.names, FACES, FACES.take(np.array([], int)), None, NOTHING, None)


def test_changes_of_probability_zero_are_not_shown(experiment: Experiment) -> None:
    used = ["flip", "contrast", "rotation", "elastic", "perspective"]
    assert used_changes(experiment.augmentation) == used
    assert used_changes(only(experiment.augmentation, "flip", "blur")) == ["flip", "blur"]
    assert only(experiment.augmentation, "flip").flip.probability == 1


def test_a_flip_mirrors_the_image_and_the_points_change_places(experiment: Experiment) -> None:
    images, points_px = draw_changes(FACE, only(experiment.augmentation, "flip"), KAGGLE15, 0, 2)
    assert images.shape == (2, 96, 96)
    mirrored_px = FACE.keypoints[0, KAGGLE15.twins] * [-1, 1] + [95, 0]
    for image, points in zip(images, points_px, strict=True):
        np.testing.assert_allclose(image, FACE.images[0, :, ::-1], atol=0.01)
        np.testing.assert_allclose(points, mirrored_px, atol=1e-3)


def test_draws_differ_from_each_other_and_not_from_time_to_time(experiment: Experiment) -> None:
    augmentation = only(experiment.augmentation, "rotation")
    images, points_px = draw_changes(FACE, augmentation, KAGGLE15, 7, 2)
    assert not np.allclose(points_px[0], points_px[1], atol=0.1)
    again, points_again_px = draw_changes(FACE, augmentation, KAGGLE15, 7, 2)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(points_px, points_again_px)


def test_first_complete_face_or_the_best(experiment: Experiment) -> None:
    assert best_labelled_row(FACES) == 1
    assert best_labelled_row(FACES.take(np.array([0]))) == 0
    assert augmentation_section(DATA, experiment).text == (
        "Training face 1 under the random changes of the experiment tiny."
    )
    in_turn = experiment.model_copy(update={"variants": (Variant(), Variant(augmentation_magnitude=0.4))})
    assert augmentation_section(DATA, in_turn).text.endswith("take these ranges times 1, 0.4 in turn.")


def test_every_change_has_a_row_and_all_at_once_another(experiment: Experiment) -> None:
    alone, trained = augmentation_section(DATA, experiment).figures
    [axes] = alone.draw().axes
    assert [text.get_text() for text in axes.texts if text.get_text()] == [
        "flip: in 50 % of the images",
        "contrast: limit 0.2; in 50 % of the images",
        "rotation: max 10 degrees; in 50 % of the images",
        "elastic: amplitude 1 px, smoothness 8 px; in 50 % of the images",
        "perspective: max shift 0.05; in 50 % of the images",
        "all at once",
    ]
    assert len(axes.images) == 6 * 4
    for place in range(0, 24, 4):  # every row begins with the face as it is
        np.testing.assert_array_equal(axes.images[place].get_array(), FACE.images[0])
    assert len(trained.draw().axes[0].images) == 16


def test_one_change_needs_no_row_for_all(experiment: Experiment) -> None:
    flips = experiment.model_copy(update={"augmentation": only(experiment.augmentation, "flip")})
    alone, _ = augmentation_section(DATA, flips).figures
    assert len(alone.draw().axes[0].images) == 4
    assert "draws of the one change;" in alone.caption


def test_changes_by_albumentations_have_rows_of_their_own(experiment: Experiment) -> None:
    named = ({"RandomGamma": {"gamma_limit": [60, 160], "p": 0.3}}, {"CLAHE": {}})
    flips = only(experiment.augmentation, "flip").model_copy(update={"albumentations": named})
    in_turn = (Variant(), Variant(augmentation_magnitude=0.4))
    section = augmentation_section(
        DATA, experiment.model_copy(update={"augmentation": flips, "variants": in_turn})
    )
    texts = [text.get_text() for text in section.figures[0].draw().axes[0].texts]
    assert [text for text in texts if text] == [
        "flip: in 100 % of the images",
        "RandomGamma: gamma_limit [60, 160]; in 30 % of the images",
        "CLAHE: in 50 % of the images",
        "all at once",
    ]
    assert section.text.endswith(
        "take these ranges times 1, 0.4 in turn, those of albumentations as they are."
    )


def test_a_variant_that_all_members_take_is_shown(experiment: Experiment) -> None:
    half = experiment.model_copy(update={"variants": (Variant(augmentation_magnitude=0.5),)})
    alone, _ = augmentation_section(DATA, half).figures
    texts = [text.get_text() for text in alone.draw().axes[0].texts]
    assert "rotation: max 5 degrees; in 50 % of the images" in texts


def test_an_experiment_without_changes_says_so(experiment: Experiment) -> None:
    section = augmentation_section(
        DATA, experiment.model_copy(update={"augmentation": only(experiment.augmentation)})
    )
    assert (list(section.figures), section.text) == (
        [],
        "The experiment tiny trains on the faces as they are.",
    )


def test_the_part_makes_a_page(experiment: Experiment) -> None:
    assert page_html("Faces", [augmentation_section(DATA, experiment)]).count("<img") == 2
