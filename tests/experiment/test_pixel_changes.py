import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from drawn_faces import make_batches, noise_images, one_face

from fkd.core.errors import UserError
from fkd.experiment.augmentation import Augmentation
from fkd.experiment.settings import validated

ACCEPTED = [
    {"RandomGamma": {"gamma_limit": [60, 160], "p": 0.3}},
    {"CLAHE": {"p": 0.2}},
    {"ImageCompression": {"quality_range": [30, 90], "p": 0.3}},
    {"CoarseDropout": {"p": 0.3}},
    {"MotionBlur": {}},
    {"Downscale": {}},
    {"RandomShadow": {}},
]


def test_changes_of_pixels_are_accepted_as_they_are_given():
    changes = Augmentation.model_validate({"albumentations": ACCEPTED}).albumentations
    assert list(changes) == ACCEPTED


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"RandomGama": {}}, "RandomGama: albumentations 2.0.8 has no such change"),
        ({"Compose": {}}, "Compose: albumentations 2.0.8 has no such change"),
        (
            {"Rotate": {"limit": 5}},
            "Rotate may move points, and albumentations' points are up to a pixel off;",
        ),
        ({"HorizontalFlip": {}}, "HorizontalFlip may move points"),
        ({"CLAHE": {"p": 2}}, "CLAHE: p: Input should be less than or equal to 1"),
        ({"CLAHE": {"clip": 2}}, "CLAHE: Argument(s) 'clip' are not valid for transform CLAHE"),
        (
            {"ISONoise": {}},
            "ISONoise: it does not change grey pictures (This transformation expects 3-channel",
        ),
        ({"Normalize": {}}, "Normalize: its result is no grey picture in [0, 1] of the same size"),
        ({"CLAHE": {}, "Blur": {}}, "expected one name with its arguments, received 2"),
        ({}, "expected one name with its arguments, received 0"),
        ("CLAHE", "Input should be a valid dictionary"),
    ],
)
def test_what_cannot_be_is_one_line(change: object, problem: str):
    with pytest.raises(UserError) as raised:
        validated(Augmentation, {"albumentations": [{"Blur": {}}, change]}, "some.yaml")
    [line] = str(raised.value).splitlines()
    assert line.startswith(f"some.yaml: albumentations.1: {problem}")


def test_magnitudes_leave_them_alone():
    changes = Augmentation.model_validate({"albumentations": ACCEPTED})
    assert changes.times(0.4).albumentations == changes.albumentations


def test_without_the_key_nothing_is_imported():
    code = (
        "import sys, fkd.experiment.experiment, fkd.training.augment; print('albumentations' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


PAINTED = Augmentation.model_validate(
    {
        "flip": {"probability": 0.5},
        "albumentations": [
            {"GaussNoise": {"p": 0.5}},
            {"CoarseDropout": {"p": 0.5, "fill": "random_uniform"}},
            {"ImageCompression": {"quality_range": [10, 90], "p": 0.5}},
        ],
    }
)


def test_albumentations_changes_pixels_and_moves_no_point() -> None:
    faces = np.concatenate([one_face(nose_tip=(40, 50))] * 12)
    plain, painted = (
        make_batches(noise_images(12), faces, Augmentation(flip=PAINTED.flip, albumentations=changes))(0, 0)
        for changes in ((), PAINTED.albumentations)
    )
    np.testing.assert_array_equal(painted[1], plain[1])
    changed = (painted[0] != plain[0]).any(axis=(1, 2, 3))
    assert 0 < np.count_nonzero(changed) < 12  # an eighth of them stay as they are
    assert painted[0].dtype == np.float32
    assert painted[0].min() >= 0
    assert painted[0].max() <= 1


def test_batches_with_albumentations_depend_on_nothing_but_seed_epoch_and_index() -> None:
    batches = make_batches(noise_images(12), augmentation=PAINTED, batch_size=3)
    places = [(epoch, index) for epoch in range(3) for index in range(4)] * 2
    alone = [batches(*place)[0] for place in places]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda place: batches(*place)[0], places))
    np.testing.assert_array_equal(alone, together)
    assert len({images.tobytes() for images in alone}) == 12
