"""Label offsets, by numbers that can be checked by hand."""

import numpy as np
import pandas as pd
import pytest

from fkd.conventions import has_all_labels, is_asked_for_all, offsets_px, with_offsets
from fkd.keypoints import KAGGLE15

FACES = 40


def test_a_face_has_all_labels_or_not() -> None:
    keypoints = np.zeros((3, 2, 2))
    keypoints[1, 0] = np.nan
    keypoints[2, 1, 1] = np.nan
    assert has_all_labels(keypoints).tolist() == [True, False, False]


def test_an_image_is_asked_for_all_or_not() -> None:
    all_of_it = [(7, name) for name in KAGGLE15.columns]
    part = [(3, name) for name in KAGGLE15.columns[:8]] * 4  # asked again and again, still only eight
    lookup = pd.DataFrame(all_of_it + part, columns=["ImageId", "FeatureName"])
    assert is_asked_for_all(lookup, np.array([3, 7, 9]), KAGGLE15).tolist() == [False, True, False]


def test_offsets_are_means_by_source_drawn_towards_none() -> None:
    truth = np.zeros((FACES, 2, 2))
    complete = np.arange(FACES) < 10
    truth[~complete, 1] = np.nan
    predictions = np.zeros((FACES, 2, 2))
    predictions[complete, 0, 0] = -4  # 10 faces off by 4, as if 10 more were not: 2
    predictions[~complete, 0, 1] = 4  # 30 faces off by -4, as if 10 more were not: -3
    assert offsets_px(predictions, truth, complete).tolist() == [[[0, -3], [0, 0]], [[2, 0], [0, 0]]]


def test_each_half_of_the_groups_gets_the_offsets_of_the_other() -> None:
    groups, complete = np.arange(FACES) // 20, np.ones(FACES, bool)
    truth = np.where(groups == 0, 3.0, 6.0)[:, None, None] * np.ones((FACES, 1, 2))
    members = np.zeros((2, FACES, 1, 2))
    moved = with_offsets(members, truth, complete, groups)
    # 20 faces, as if 10 more had no offset: two thirds.
    assert moved[:, groups == 0] == pytest.approx(6 * 2 / 3)
    assert moved[:, groups == 1] == pytest.approx(3 * 2 / 3)
