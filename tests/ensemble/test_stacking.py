import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkd.ensemble.stacking import Stack, stacked


def _members(seed: int, deviations_px: list[list[float]], rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of two points by members whose errors have these deviations, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(20, 80, (rows, 2, 2))
    errors = rng.normal(0, 1, (len(deviations_px), rows, 2, 2)) * np.array(deviations_px)[:, None, :, None]
    return truth + errors, truth


def test_a_stack_is_averaged_with_its_weights_by_point():
    predictions = np.array([[[[10.0, 20.0], [30.0, 40.0]]], [[[20.0, 40.0], [50.0, 60.0]]]])
    stack = Stack((4, 7), np.array([[0.75, 0.5], [0.25, 0.5]]))
    assert stack.average(predictions).tolist() == [[[12.5, 25], [40, 50]]]
    assert stack == (4, 7)


def test_every_point_weighs_its_better_member_more():
    predictions, truth = _members(0, [[1, 4], [4, 1], [50, 50]])
    stack = stacked(predictions, truth, np.arange(200), [0, 1])
    assert stack == (0, 1), "the third is not usable"
    # Independent errors weigh by their inverse variance: 16 to 1.
    assert stack.weights == pytest.approx(np.array([[16, 1], [1, 16]]) / 17, abs=0.06)


@given(st.integers(0, 1000))
def test_weights_of_every_point_add_up_to_one(seed: int):
    predictions, truth = _members(seed, [[1, 2], [2, 1], [3, 3]], rows=20)
    stack = stacked(predictions, truth, np.arange(20) // 2, [0, 1, 2])
    assert stack.weights.sum(axis=0) == pytest.approx(1)


def test_equal_members_and_single_ones_are_the_plain_mean():
    truth = np.full((40, 1, 2), 50.0)
    predictions = np.stack([truth + 1, truth + 1])
    assert stacked(predictions, truth, np.arange(40), [0, 1]).weights.tolist() == [[0.5], [0.5]]
    assert stacked(predictions, truth, np.arange(40), [1]).weights.tolist() == [[1.0]]


def test_points_without_labels_and_rows_of_one_group_keep_the_mean():
    predictions, truth = _members(0, [[1, 1], [9, 9]])
    unlabelled = truth.copy()
    unlabelled[:, 1] = np.nan
    weights = stacked(predictions, unlabelled, np.arange(200), [0, 1]).weights
    assert weights[0, 0] > 0.9
    assert weights[:, 1].tolist() == [0.5, 0.5]
    assert (stacked(predictions, truth, np.zeros(200, int), [0, 1]).weights == 0.5).all()
