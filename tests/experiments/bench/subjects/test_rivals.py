"""Other packages' points as the competition's."""

import numpy as np
import pytest

from experiments.bench.subjects import rivals
from experiments.bench.subjects.rivals import RIVALS, Rival, candidates, rival_points
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
