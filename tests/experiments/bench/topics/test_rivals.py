"""How a package's points are read and its offsets taken away, by numbers that can be checked by hand."""

import numpy as np
import pytest

from experiments.bench.topics.rivals import choose_points, without_kinds_offsets


def test_what_is_always_wrong_of_a_kind_is_learnt_on_other_faces():
    learnt_px = np.array([1.0, 3.0, 10.0, np.nan])[:, None, None] * np.ones((4, 1, 2))
    errors_px = np.array([5.0, 5.0])[:, None, None] * np.ones((2, 1, 2))
    corrected_px = without_kinds_offsets(errors_px, np.array([1, 0]), learnt_px, np.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(corrected_px[:, 0, 0], [5 - 10, 5 - 2])


def test_the_candidate_that_moves_with_the_labels_is_chosen_though_it_is_off_to_one_side():
    truth_px = np.array([10.0, 20.0, 30.0])[:, None, None] * np.ones((3, 1, 2))
    nearer = truth_px[:, 0] + np.array([1.0, -1.0, 0.0])[:, None]
    constant = truth_px[:, 0] + 7
    assert choose_points({"nose_tip": [nearer, constant]}, truth_px, np.zeros(3, int)) == ({"nose_tip": 1}, 0)


def test_the_rmse_is_of_all_points_together():
    truth_px = np.zeros((2, 2, 2))
    wrong = np.array([1.0, -1.0])[:, None] * np.ones((2, 2))
    _, rmse_px = choose_points({"a": [wrong], "b": [wrong * 3]}, truth_px, np.zeros(2, int))
    assert rmse_px == pytest.approx(np.sqrt((1 + 9) / 2), abs=1e-3)
