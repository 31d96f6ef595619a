"""Label offsets, by numbers that can be checked by hand."""

import numpy as np
import pandas as pd
import pytest

from fkd.core.keypoints import KAGGLE15, label_counts
from fkd.ensemble.label_offsets import asked_counts, offsets_px, with_offsets

FACES = 40


def test_asked_points_are_counted() -> None:
    all_of_it = [(7, name) for name in KAGGLE15.columns]
    part = [(3, name) for name in KAGGLE15.columns[:9]] * 2  # four points and an x, asked twice
    lookup = pd.DataFrame(all_of_it + part, columns=["ImageId", "FeatureName"])
    assert asked_counts(lookup, np.array([3, 7, 9]), KAGGLE15).tolist() == [4, 15, 0]


def test_offsets_are_means_of_faces_with_as_many_labels_drawn_towards_none() -> None:
    truth, predictions = np.zeros((FACES, 2, 2)), np.zeros((FACES, 2, 2))
    complete = np.arange(FACES) < 10
    truth[~complete, 1] = np.nan
    predictions[complete, 0, 0] = -4  # 10 faces off by 4, as if 10 more were not: 2
    predictions[~complete, 0, 1] = 4  # 30 faces off by -4, as if 10 more were not: -3
    others, counts = np.zeros((3, 2, 2)), np.array([1, 2, 7])
    groups = np.arange(FACES)
    offsets = offsets_px(predictions, truth, label_counts(truth), groups, others, counts, linear=False)
    assert offsets.tolist() == [[[0, -3], [0, 0]], [[2, 0], [0, 0]], [[0, 0], [0, 0]]]


def test_each_half_of_the_groups_gets_the_offsets_of_the_other() -> None:
    groups, counts = np.arange(FACES) // 20, np.ones(FACES, int)
    truth = np.where(groups == 0, 3.0, 6.0)[:, None, None] * np.ones((FACES, 1, 2))
    members = np.zeros((2, FACES, 1, 2))
    moved = with_offsets(members, truth, counts, groups, linear=False)
    # 20 faces, as if 10 more had no offset: two thirds.
    assert moved[:, groups == 0] == pytest.approx(6 * 2 / 3)
    assert moved[:, groups == 1] == pytest.approx(3 * 2 / 3)


def test_a_linear_offset_follows_the_pose_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    predictions = rng.normal(48, 5, (4000, 2, 2))
    truth = predictions + rng.normal(0, 0.1, predictions.shape)
    turned = (predictions[:, 0, 0] - predictions[:, 1, 0]) / 10  # of two points that lie apart
    truth[:, 0, 0] += 1 + turned
    counts, others = np.full(4000, 2), np.array([[[58.0, 48], [38, 48]], [[38.0, 48], [58, 48]]])
    known = predictions, truth, counts, np.arange(4000) // 10
    offsets = offsets_px(*known, others, counts[:2], linear=True)
    # 4,000 faces against a penalty of 100, and against 10 without an offset.
    assert offsets[:, 0, 0] == pytest.approx([3, -1], abs=0.1)
    assert offsets[:, 0, 1] == pytest.approx(0, abs=0.02)
    assert offsets[:, 1] == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(offsets_px(*known, others, counts[:2], linear=False)[:, 0, 0], 1, atol=0.05)


def test_a_point_without_labels_has_no_linear_offset() -> None:
    rng = np.random.default_rng(0)
    predictions, counts = rng.normal(48, 5, (200, 2, 2)), np.ones(200, int)
    truth = predictions + (predictions[:, :1] - 48) / 10
    truth[:, 1] = np.nan
    offsets = offsets_px(predictions, truth, counts, np.arange(200), predictions, counts, linear=True)
    assert (offsets[:, 1] == 0).all()
    assert np.corrcoef(offsets[:, 0, 0], truth[:, 0, 0] - predictions[:, 0, 0])[0, 1] > 0.99


def test_no_face_has_a_part_in_its_own_linear_offset() -> None:
    rng = np.random.default_rng(1)
    faces = 100
    groups, counts, members = np.arange(faces) // 4, np.full(faces, 2), rng.normal(48, 5, (1, faces, 2, 2))
    truth = members[0] + (members[0, :, :1] - 48) / 10
    moved = with_offsets(members, truth, counts, groups, linear=True)
    truth[:4] += 100  # the group of the first four
    again = with_offsets(members, truth, counts, groups, linear=True)
    np.testing.assert_array_equal(again[:, :4], moved[:, :4])
    assert (again[:, 4:] != moved[:, 4:]).any()


@pytest.mark.parametrize("faces", [1, 3, 49])
def test_few_faces_have_a_mean_offset(faces: int) -> None:
    rng = np.random.default_rng(2)
    predictions, counts, groups = rng.normal(48, 5, (faces, 1, 2)), np.ones(faces, int), np.arange(faces)
    truth = predictions + predictions / 10
    known = predictions, truth, counts, groups, predictions, counts
    np.testing.assert_array_equal(offsets_px(*known, linear=True), offsets_px(*known, linear=False))


def test_faces_of_one_pose_or_one_group_have_a_mean_offset() -> None:
    rng = np.random.default_rng(3)
    predictions, counts, groups = np.full((60, 1, 2), 48.0), np.ones(60, int), np.arange(60)
    known = predictions, predictions + rng.normal(1, 1, predictions.shape), counts
    for of_groups in (groups, groups * 0):
        linear = offsets_px(*known, of_groups, predictions, counts, linear=True)
        np.testing.assert_allclose(linear, offsets_px(*known, groups, predictions, counts, linear=False))
