"""Ways to combine members, by numbers that can be checked by hand."""

import numpy as np
import pytest

from experiments.bench.topics.combining import RIDGE, against, fit_stacking, fit_weights

ROWS = 90
TRUTH_PX = np.random.default_rng(0).uniform(20, 80, (ROWS, 2, 2))


def test_weights_balance_the_errors_of_two_members() -> None:
    members = TRUTH_PX + np.array([1.0, -2.0])[:, None, None, None]
    np.testing.assert_allclose(fit_weights(members, TRUTH_PX)(members), TRUTH_PX, atol=1e-3)


def test_stacking_takes_away_what_is_always_wrong_but_for_the_penalty() -> None:
    members = TRUTH_PX[None] + 1.0
    remaining_px = (fit_stacking(members, TRUTH_PX)(members) - TRUTH_PX).mean()
    assert remaining_px == pytest.approx(RIDGE / (ROWS + RIDGE))


def test_stacking_learns_nothing_of_a_point_without_labels() -> None:
    truth_px = TRUTH_PX.copy()
    truth_px[:, 1] = np.nan
    members = TRUTH_PX[None] + 1.0
    combined_px = fit_stacking(members, truth_px)(members)
    np.testing.assert_array_equal(combined_px[:, 1], members[0, :, 1])


def test_a_way_is_compared_with_the_mean_by_parts() -> None:
    truth_px = np.zeros((4, 1, 2))
    mean_px, combined_px = truth_px + 1.0, np.array([2.0, 2.0, 4.0, 4.0])[:, None, None] + truth_px
    parts = [np.array([0, 1]), np.array([2, 3])]
    assert against(combined_px, mean_px, truth_px, parts) == "+2.000 ± 1.414"  # of 1 and 3
