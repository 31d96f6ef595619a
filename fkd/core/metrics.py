"""Measures of predictions against labels, on arrays in pixels."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


def rmse_px(predictions: Array, truth: Array) -> float:
    """Root of the mean squared error over all labelled coordinates; x and y count as one value each.

    predictions, truth: pixels, shape (rows, points, 2). Infinite where a prediction is missing for a label,
    so that a diverged member is never the best; NaN if nothing is labelled.
    """
    labelled = ~np.isnan(truth)
    if not labelled.any():
        return float("nan")
    errors_px = (predictions - truth)[labelled].astype(np.float64)
    return float(np.sqrt(np.mean(errors_px**2))) if np.isfinite(errors_px).all() else float("inf")


def weighted_rmse_px(predictions: Array, truth: Array, weights: npt.NDArray[np.floating]) -> float:
    """Root of the mean over points of their mean squared errors, each point counted by its weight.

    predictions, truth: pixels, shape (rows, points, 2). weights: shape (points,). Infinite as `rmse_px` is;
    NaN where a point has no label at all.
    """
    by_point_px = [rmse_px(predictions[:, [point]], truth[:, [point]]) for point in range(truth.shape[1])]
    return float(np.sqrt(np.average(np.square(by_point_px), weights=weights)))


def rmse_without_px(
    predictions: Array, truth: Array, groups: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """RMSE without each group of rows in turn, shape (groups,), for `jackknife_error`.

    predictions, truth: pixels, shape (rows, points, 2). groups: shape (rows,).
    """
    labelled = ~np.isnan(truth)
    squared = np.where(labelled, np.square((predictions - truth).astype(np.float64)), 0.0)
    _, group = np.unique(groups, return_inverse=True)
    sums = np.bincount(group, squared.sum(axis=(1, 2)))
    counts = np.bincount(group, labelled.sum(axis=(1, 2)))
    return np.sqrt((sums.sum() - sums) / (counts.sum() - counts))


def jackknife_error(without: npt.NDArray[np.float64]) -> float:
    """Standard error of a figure, from what it is without each group in turn; NaN with fewer than two.

    The delete-one jackknife: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 11.
    """
    groups = len(without)
    if groups < 2:
        return float("nan")
    return float(np.sqrt((groups - 1) / groups * np.sum(np.square(without - without.mean()))))


def distances_px(predictions: Array, truth: Array) -> npt.NDArray[np.float64]:
    """Distance of every prediction from its label, shape (rows, points); NaN where there is no label.

    predictions, truth: pixels, shape (rows, points, 2).
    """
    return np.hypot(*np.moveaxis((predictions - truth).astype(np.float64), -1, 0))


def spread_px(predictions: Array) -> npt.NDArray[np.float64]:
    """Standard deviation of members around their mean, x and y together, shape (rows, points).

    It is the root of the summed variances of x and y. predictions: pixels, shape (members, rows, points, 2).
    """
    return np.sqrt(predictions.var(axis=0, dtype=np.float64).sum(axis=-1))
