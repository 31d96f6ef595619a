"""Splits: near-duplicates found, groups kept whole, the fraction met, the rows' order without effect."""

from collections.abc import Sequence
from random import Random

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkd.core.errors import UserError
from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.data.split import group_faces, split_rows

group_lists = st.lists(st.integers(0, 8), min_size=2, max_size=40).filter(lambda names: len(set(names)) > 1)
fractions = st.floats(0.05, 0.95)


def smooth_images(count: int) -> npt.NDArray[np.uint8]:
    """Random pictures without a common part, with detail of a face's size."""
    noise = np.random.default_rng(0).integers(0, 256, (count, 8, 8), np.uint8)
    size = (IMAGE_SIZE_PX, IMAGE_SIZE_PX)
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) for image in noise])


def split(names: Sequence[int], fraction: float, seed: int = 0) -> tuple[list[int], list[int]]:
    """Split rows 0, 1, 2, ... of the named groups."""
    training, validation = split_rows(np.array(names), np.arange(len(names)), fraction, [seed])
    return training.tolist(), validation.tolist()


def test_same_photo_with_other_light_noise_and_crop_is_one_group() -> None:
    images = smooth_images(6)
    rng = np.random.default_rng(1)
    darker = (images[0] * 0.6 + 20).astype(np.uint8)
    noisy = np.clip(images[1] + rng.normal(0, 8, images[1].shape), 0, 255).astype(np.uint8)
    moved = np.roll(images[2], 1, axis=1)
    groups = group_faces(np.concatenate([images, [darker, noisy, moved]]))
    assert groups.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]


def test_given_groups_and_duplicates_join_over_each_other() -> None:
    images = smooth_images(4)
    same_photo = images[[0, 1, 0, 2, 3]]
    assert group_faces(same_photo, np.array([7, 7, 3, 3, 5])).tolist() == [0, 0, 0, 0, 4]


def test_fraction_is_met_exactly_with_single_rows() -> None:
    training, validation = split(range(50), 0.2)
    assert (len(training), len(validation)) == (40, 10)
    assert sorted(training + validation) == list(range(50))


def test_a_group_too_large_for_validation_trains() -> None:
    training, validation = split([0] * 60 + [1, 2, 3, 4] * 10, 0.2)
    assert len(validation) == 20
    assert set(range(60)) <= set(training)


def test_smallest_group_validates_where_all_are_larger_than_the_fraction() -> None:
    assert split([0] * 5 + [1] * 4, 0.1) == ([0, 1, 2, 3, 4], [5, 6, 7, 8])


def test_training_keeps_a_group_whatever_the_fraction() -> None:
    training, validation = split([0, 1], 0.95)
    assert len(training) == len(validation) == 1


def test_folds_take_turns_until_every_row_has_validated() -> None:
    rows = np.arange(50)
    folds = [split_rows(rows, rows, 0.2, [0], fold) for fold in range(5)]
    assert sorted(np.concatenate([validation for _, validation in folds])) == rows.tolist()
    for training, validation in folds:
        assert sorted([*training, *validation]) == rows.tolist()
    with pytest.raises(UserError, match="more than 50 groups of look-alike faces for fold 5"):
        split_rows(rows, rows, 0.2, [0], 5)


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(UserError, match="received 3 rows in 1; give more"):
        split([4, 4, 4], 0.2)


@given(group_lists, fractions, st.integers(0, 100))
def test_groups_stay_whole_and_both_sides_have_rows(names: list[int], fraction: float, seed: int) -> None:
    training, validation = split(names, fraction, seed)
    assert training
    assert validation
    assert sorted(training + validation) == list(range(len(names)))
    assert not {names[row] for row in training} & {names[row] for row in validation}


@given(group_lists, fractions, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(names: list[int], fraction: float, random: Random) -> None:
    order = list(range(len(names)))
    random.shuffle(order)
    shuffled = split_rows(np.array(names)[order], np.array(order), fraction, [0])
    assert [side.tolist() for side in shuffled] == list(split(names, fraction))


def test_seed_decides() -> None:
    assert split(range(50), 0.2, seed=1) == split(range(50), 0.2, seed=1)
    assert split(range(50), 0.2, seed=1) != split(range(50), 0.2, seed=2)


def test_a_subset_of_the_rows_keeps_nearly_the_same_sides() -> None:
    rows = np.arange(1000)
    some = rows[::3]
    _, validation = split_rows(rows, rows, 0.2, [0])
    training_of_some, validation_of_some = split_rows(some, some, 0.2, [0])
    moved = (
        np.setdiff1d(validation_of_some, validation).size + np.intersect1d(training_of_some, validation).size
    )
    assert moved < 0.05 * some.size
