"""Weights of members by point (stacking, Wolpert 1992): ridge regression, drawn towards the plain mean.

How strongly it is drawn is what does best across groups, the mean itself among the choices. So where members
are equally good, the mean is what is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fkd.ensemble.folds import Groups, fifths

Array = npt.NDArray[np.floating]
Weights = npt.NDArray[np.float64]

# Of the members' mean square: how much a weight's distance from that of the mean costs.
_PENALTIES = (np.inf, 100.0, 10.0, 1.0, 0.1, 0.01)


class Stack(tuple[int, ...]):
    """Members, each once, that are averaged with weights by point; weights: shape (members, points)."""

    weights: Weights

    def __new__(cls, members: Sequence[int], weights: Weights) -> Stack:
        stack = super().__new__(cls, members)
        stack.weights = weights
        return stack

    def average(self, predictions: Array) -> npt.NDArray[np.float64]:
        """The weighted sum, shape (rows, points, 2), of what its members predict.

        predictions: shape (members, rows, points, 2).
        """
        return np.einsum("mp,mrpc->rpc", self.weights, predictions, dtype=np.float64)


def averaged(predictions: Array, members: Sequence[int]) -> npt.NDArray[np.float64]:
    """The mean of what these members predict, in their order; those of a `Stack` have its weights.

    predictions: shape (members, rows, points, 2).
    """
    if isinstance(members, Stack):
        return members.average(predictions)
    return predictions.mean(axis=0, dtype=np.float64)


def stacked(predictions: Array, truth: Array, groups: Groups, usable: Sequence[int]) -> Stack:
    """The members at the usable positions with the weights that fit the truth.

    predictions: pixels, shape (members, rows, points, 2). truth: shape (rows, points, 2), NaN where a point
    has no label. groups: shape (rows,).
    """
    chosen, folds = predictions[list(usable)].astype(np.float64), fifths(groups)

    def squares(penalty: float) -> float:
        """Of the errors on rows that had no part in the weights, in sum."""
        left = (
            Stack(usable, _ridge(chosen[:, others], truth[others], penalty)).average(chosen[:, rows])
            - truth[rows]
            for others, rows in folds
        )
        return sum(float(np.nansum(errors**2)) for errors in left)

    return Stack(usable, _ridge(chosen, truth, min(_PENALTIES, key=squares)))


def _ridge(predictions: Array, truth: Array, penalty: float) -> Weights:
    """Weights, shape (members, points), as far from those of the mean as the penalty lets them."""
    from sklearn.linear_model import Ridge  # slow to load

    members, _, points, _ = predictions.shape
    weights = np.full((members, points), 1 / members)
    if penalty == np.inf or members == 1:
        return weights
    means = predictions.mean(axis=0)
    for point in range(points):
        labelled = np.isfinite(truth[:, point]).all(axis=1)
        # What members add to their mean, of which the regression makes the mean's error.
        additions = (predictions[:, labelled, point] - means[labelled, point]).reshape(members, -1).T
        if not additions.any():
            continue
        errors = (truth[labelled, point] - means[labelled, point]).ravel()
        ridge = Ridge(penalty * float((additions**2).sum()) / members, fit_intercept=False)
        added = ridge.fit(additions, errors).coef_
        weights[:, point] += added - added.mean()
    return weights
