"""What the figures of a run show, computed: errors, ensembles of every size, disagreement. Pure, on arrays.

Everything is in pixels: `predictions` of shape (members, rows, points, 2), finite; an `average` and the
`truth` of shape (rows, points, 2), NaN where a point has no label. Members are named by their position.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.floating]
Values = npt.NDArray[np.float64]

# Parts of a face by words in the names of its points; the first that fits, so that a brow is not an eye.
_PARTS = {
    "eyebrows": ("eyebrow",),
    "eyes": ("eye", "pupil"),
    "nose": ("nose", "nostril"),
    "mouth": ("mouth", "lip"),
    "jaw": ("jaw", "chin"),
}


def error_products(predictions: Array, truth: Array) -> Values:
    """The mean product of every two members' errors over the labelled coordinates, shape (members, members).

    The mean squared error of an average is the mean of its members' square of this table, so that one table
    tells the error of every ensemble.
    """
    errors_px = _errors(predictions, truth)
    return errors_px @ errors_px.T / errors_px.shape[1]


def ensemble_rmse_px(products: Values, order: Sequence[int]) -> Values:
    """RMSE of the average of the first 1, 2, ... members of an order, shape (len(order),).

    products: of `error_products`. A member that is twice in the order weighs double.
    """
    sums = products[np.ix_(order, order)].cumsum(axis=0).cumsum(axis=1).diagonal()
    return np.sqrt(sums) / np.arange(1, len(order) + 1)


def continued_greedily(products: Values, chosen: Sequence[int]) -> list[int]:
    """The chosen in their order, then all others, each the one whose addition gives the lowest error.

    products: of `error_products`.
    """
    order = list(chosen)
    waiting = [i for i in range(len(products)) if i not in order]
    while waiting:
        added = products[np.ix_(waiting, order)].sum(axis=1) * 2 + products[waiting, waiting]
        order.append(waiting.pop(int(np.argmin(added))))
    return order


def error_correlations(predictions: Array, truth: Array) -> Values:
    """Pearson's correlation of every two members' signed errors, shape (members, members)."""
    return np.atleast_2d(np.corrcoef(_errors(predictions, truth)))


def coordinate_rmse_px(average: Array, truth: Array) -> Values:
    """RMSE over the rows by coordinate, shape (points, 2); NaN for a point that is labelled nowhere."""
    squares = np.ma.masked_invalid((average - truth).astype(np.float64) ** 2)
    return np.sqrt(squares.mean(axis=0)).filled(np.nan)


def face_rmse_px(average: Array, truth: Array) -> Values:
    """RMSE over the labelled coordinates of each face, shape (rows,); NaN for a face without labels."""
    squares = np.ma.masked_invalid((average - truth).astype(np.float64) ** 2)
    return np.sqrt(squares.mean(axis=(1, 2))).filled(np.nan)


def binned_errors(disagreement_px: Values, errors_px: Values, bins: int) -> pd.DataFrame:
    """Errors in `bins` equally full bins of disagreement; both of one shape, unlabelled points left out.

    Returns one line a bin: disagreement_px (mean), error_px (mean), lower_px and upper_px (quartiles of the
    errors) and values (how many).
    """
    labelled = np.isfinite(errors_px)
    table = pd.DataFrame({"disagreement_px": disagreement_px[labelled], "error_px": errors_px[labelled]})
    groups = table.groupby(pd.qcut(table["disagreement_px"], bins, duplicates="drop"), observed=True)
    errors = groups["error_px"]
    lines = groups.mean().assign(
        lower_px=errors.quantile(0.25), upper_px=errors.quantile(0.75), values=groups.size()
    )
    return lines.reset_index(drop=True)


def part_of_face(point: str) -> str:
    """Which part of the face a point belongs to, by its name: eyebrows, eyes, nose, mouth, jaw or other."""
    return next((part for part, words in _PARTS.items() if any(word in point for word in words)), "other")


def _errors(predictions: Array, truth: Array) -> Values:
    """Signed errors of the labelled coordinates, shape (members, values)."""
    labelled = ~np.isnan(truth)
    return predictions[:, labelled].astype(np.float64) - truth[labelled]
