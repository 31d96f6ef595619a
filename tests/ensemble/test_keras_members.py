"""Members predict by Keras as for a submission, alone as among others."""

from pathlib import Path

import numpy as np
import pytest
from written_members import write_member

from fkd.core.keypoints import KAGGLE15
from fkd.ensemble.keras_members import KerasMembers
from fkd.ensemble.predict import predict_ensemble
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run

FACES = np.random.default_rng(0).integers(0, 256, (11, 96, 96), np.uint8)  # more than go at once


@pytest.fixture
def run(tmp_path: Path, experiment: Experiment) -> Run:
    run = Run(tmp_path / "tiny-faces")
    for index in range(2):
        write_member(run, experiment, "four", index)
    return run


def test_each_members_points_are_those_of_a_submission(run: Run, experiment: Experiment) -> None:
    received = KerasMembers.load(run, experiment, {"four": [1, 0, 1]})(experiment, FACES)
    assert received.keys() == {"four"}
    assert set(received["four"]) == {0, 1}
    for index, points_px in received["four"].items():
        expected = predict_ensemble(run, experiment, {"four": [index]}, FACES)[:, KAGGLE15.indices("four")]
        np.testing.assert_allclose(points_px, expected, atol=1e-3)


def test_a_face_is_predicted_alone_as_among_others(run: Run, experiment: Experiment) -> None:
    members = KerasMembers.load(run, experiment, {"four": [0]})
    one_by_one = [members(experiment, face[np.newaxis])["four"][0] for face in FACES]
    np.testing.assert_allclose(np.concatenate(one_by_one), members(experiment, FACES)["four"][0], atol=1e-4)
