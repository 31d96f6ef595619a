"""Labels to look at, by distances that can be checked by hand.

All labels are at (40, 40) and every network answers (41, 40), so every radius is one pixel; but two labels of
the nose tip are elsewhere: one of a face that validates, one of a face that trains.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from written_members import write_answering_member

from fkd.core.errors import UserError
from fkd.core.files import atomic_write_json
from fkd.core.keypoints import KAGGLE15
from fkd.data.faces import FaceData, Faces
from fkd.ensemble.choice import choose_members
from fkd.ensemble.radii_file import write_radii
from fkd.ensemble.selection_file import write_selection
from fkd.ensemble.suspect_labels import suspect_labels
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run, open_run

FACES, VALIDATION = 60, list(range(5, 55))
NOSE = KAGGLE15.names.index("nose_tip")


@pytest.fixture
def faces() -> FaceData:
    keypoints = np.full((FACES, 15, 2), 40, np.float32)
    keypoints[7, NOSE] = 41, 60  # validates: 20 px from its prediction
    keypoints[2, NOSE] = 41, 70  # trains: 30 px
    keypoints[3, 0] = np.nan  # no label is none to look at
    training = Faces(np.zeros((FACES, 96, 96), np.uint8), keypoints, np.arange(FACES))
    return FaceData("faces", "c" * 64, KAGGLE15.names, training, training, None, pd.DataFrame(), None)


@pytest.fixture
def run(tmp_path: Path, experiment: Experiment) -> Run:
    run = Run(tmp_path / "tiny-faces")
    open_run(run, experiment, {"data_checksum": "c" * 64})
    for specialist in experiment.specialists:
        split = {"training": [*range(5), *range(55, 60)], "validation": VALIDATION}
        answer_px = np.tile(np.float32([41, 40]), (len(experiment.point_indices(specialist)), 1))
        validation_px = np.tile(answer_px, (len(VALIDATION), 1, 1))
        write_answering_member(run, experiment, specialist, 0, answer_px, validation_px)
        atomic_write_json(run.split(specialist), split | {"validation_groups": VALIDATION})
    return run


def select(run: Run, faces: FaceData) -> None:
    choice = choose_members(run, run.read_experiment(), faces, print)
    write_selection(run, choice.reports)
    write_radii(run, choice.validations, choice.without_source)


def test_labels_are_listed_the_furthest_by_its_radius_first(run: Run, faces: FaceData) -> None:
    select(run, faces)
    found = suspect_labels(run, faces, lambda line: None)
    assert [(one.row, one.point, one.is_unseen) for one in found] == [(2, NOSE, False), (7, NOSE, True)]
    for one, distance_px in zip(found, (30, 20), strict=True):
        assert one.predicted_px == pytest.approx((41, 40), abs=1e-4)
        assert one.label_px == (41, 40 + distance_px)
        assert one.radius_px == pytest.approx(1, abs=1e-4)
        assert one.radii == pytest.approx(distance_px, rel=1e-4)


def test_a_run_without_a_choice_is_to_be_selected_first(run: Run, faces: FaceData) -> None:
    with pytest.raises(UserError, match="expected chosen members, received none; run fkd select"):
        suspect_labels(run, faces, print)


def test_other_data_are_refused(run: Run, faces: FaceData) -> None:
    select(run, faces)
    other = FaceData(
        "others", "d" * 64, faces.point_names, faces.training, faces.test, None, faces.lookup, None
    )
    with pytest.raises(UserError, match="expected the data that it was trained on, received others"):
        suspect_labels(run, other, print)
