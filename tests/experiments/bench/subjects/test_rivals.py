"""Other packages' points as the competition's."""

import numpy as np
import pytest

from experiments.bench.subjects import rivals
from experiments.bench.subjects.face_sets import FaceSet
from experiments.bench.subjects.rivals import RIVALS, Rival, candidates, choose_points, rival_points
from fkd.core.errors import UserError
from fkd.core.keypoints import KAGGLE15


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_every_point_has_a_meaning(rival: Rival):
    points_px = np.random.default_rng(0).uniform(0, 96, (2, 68 if rival.system == "dlib" else 478, 2))
    found = candidates(rival, points_px)
    assert tuple(found) == KAGGLE15.names
    assert {meant.shape for meanings in found.values() for meant in meanings} == {(2, 2)}


def test_without_the_packages_one_line_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr(rivals, "PYTHON", tmp_path / "python")
    with pytest.raises(
        UserError, match="expected the other packages, found none; run make bench TOPICS=rival"
    ):
        rival_points(RIVALS[0], RIVALS[0].framings[:1], np.zeros((1, 96, 96), np.uint8))


def labelled(truth_px: np.ndarray) -> FaceSet:
    """Faces of one source."""
    return FaceSet(np.zeros((len(truth_px), 96, 96), np.uint8), truth_px, np.zeros(len(truth_px), np.int64))


def test_the_candidate_that_moves_with_the_labels_is_chosen_though_it_is_off_to_one_side():
    truth_px = np.array([10.0, 20.0, 30.0])[:, None, None] * np.ones((3, 1, 2))
    nearer = truth_px[:, 0] + np.array([1.0, -1.0, 0.0])[:, None]
    constant = truth_px[:, 0] + 7
    assert choose_points({"nose_tip": [nearer, constant]}, labelled(truth_px)) == ({"nose_tip": 1}, 0)


def test_the_rmse_is_of_all_points_together():
    truth_px = np.zeros((2, 2, 2))
    wrong = np.array([1.0, -1.0])[:, None] * np.ones((2, 2))
    _, rmse_px = choose_points({"a": [wrong], "b": [wrong * 3]}, labelled(truth_px))
    assert rmse_px == pytest.approx(np.sqrt((1 + 9) / 2), abs=1e-3)
