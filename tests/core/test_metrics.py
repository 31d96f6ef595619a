"""Measures of predictions against labels, by numbers that can be checked by hand."""

import numpy as np

from fkd.core.metrics import (
    distances_px,
    jackknife_error,
    rmse_px,
    rmse_without_px,
    spread_px,
    weighted_rmse_px,
)

# Two rows of one point; the second row's y has no label. Errors: (3, 4) and (0,).
TRUTH = np.array([[[10.0, 10.0]], [[20.0, np.nan]]])
PREDICTIONS = np.array([[[13.0, 14.0]], [[20.0, 50.0]]])


def test_rmse_is_over_all_labelled_coordinates():
    assert rmse_px(PREDICTIONS, TRUTH) == np.sqrt((9 + 16 + 0) / 3)


def test_rmse_without_a_prediction_or_a_label():
    assert rmse_px(np.full_like(TRUTH, np.nan), TRUTH) == np.inf
    assert np.isnan(rmse_px(PREDICTIONS, np.full_like(TRUTH, np.nan)))


def test_points_count_by_their_weights():
    # Squared errors of the first point: 9, 16 and 0; of the second: 1 and 1.
    truth = np.concatenate([TRUTH, [[[5.0, np.nan]], [[5.0, np.nan]]]], axis=1)
    predictions = np.concatenate([PREDICTIONS, [[[6.0, 0.0]], [[4.0, 0.0]]]], axis=1)
    expected = np.sqrt((3 * 25 / 3 + 1 * 1) / 4)
    np.testing.assert_allclose(weighted_rmse_px(predictions, truth, np.array([3.0, 1.0])), expected)


def test_the_error_of_an_rmse_comes_from_leaving_each_group_out():
    truth = np.array([[[0.0, 0.0]], [[0.0, np.nan]], [[0.0, 0.0]]])
    errors_px = np.array([3.0, 3.0, 5.0])[:, None, None]
    without_px = rmse_without_px(truth + errors_px, truth, np.array([7, 7, 2]))
    assert without_px.tolist() == [3, 5]  # without group 2, without group 7
    assert jackknife_error(without_px) == np.sqrt(1 / 2 * (1 + 1))
    assert np.isnan(jackknife_error(without_px[:1]))


def test_the_error_of_a_mean_is_the_usual_one():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    without = (values.sum() - values) / 3
    np.testing.assert_allclose(jackknife_error(without), values.std(ddof=1) / np.sqrt(4))


def test_distance_from_the_label():
    np.testing.assert_allclose(distances_px(PREDICTIONS, TRUTH), [[5], [np.nan]])


def test_the_spread_takes_x_and_y_together():
    # x: 0 and 6, deviation 3; y: 0 and 8, deviation 4
    np.testing.assert_allclose(spread_px(np.array([[[[0.0, 0.0]]], [[[6.0, 8.0]]]])), [[5]])
