"""The champion's error taken apart, by numbers that can be checked by hand."""

import numpy as np
import pytest

from experiments.bench.topics.limits import within_groups_px


def test_errors_of_a_group_count_from_its_mean_and_lone_rows_not_at_all() -> None:
    errors_px = np.array([3.0, 5.0, 7.0, -9.0])[:, None, None] * np.ones((1, 1, 2))
    # Squares 4 + 0 + 4 about the mean of three rows, twice; two degrees of freedom, twice.
    assert within_groups_px(errors_px, np.array([8, 8, 8, 9])) == pytest.approx(2.0)


def test_missing_labels_count_nowhere() -> None:
    errors_px = np.array([[[1.0, 4.0]], [[3.0, np.nan]]])
    assert within_groups_px(errors_px, np.array([0, 0])) == pytest.approx(np.sqrt(2.0))


def test_groups_of_one_say_nothing() -> None:
    assert np.isnan(within_groups_px(np.ones((3, 2, 2)), np.arange(3)))
