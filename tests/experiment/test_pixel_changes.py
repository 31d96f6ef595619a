import subprocess
import sys

import pytest

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
