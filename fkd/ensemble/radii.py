"""How far off a predicted point may be: a radius that holds the truth in 90% of cases, or another share.

The distance to expect grows with the members' spread (isotonic regression). How many times that distance
holds the truth is counted on faces of groups that the regression has not seen (cross-conformal prediction,
Vovk 2015). So the share is kept for faces like those of the validation, whatever the spread is worth.

Everything here works on arrays in pixels of a 96x96 face: `predictions` of shape (members, rows, points, 2),
`truth` of shape (rows, points, 2), NaN where a point has no label, and `groups` of shape (rows,).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fkd.core.metrics import distances_px, spread_px
from fkd.ensemble.folds import fifths
from fkd.ensemble.selection import Choose, average_predictions

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# With fewer labels a point has no radius, and a source none of its own.
LEAST_LABELS, LEAST_LABELS_OF_A_SOURCE = 20, 100

_KNOTS = 17
# A point is expected to be at least this part of the mean distance away.
_LEAST_PART = 0.2
# A spread is large where it is larger than that of so many validation faces.
_LARGE_QUANTILE = 0.95


@dataclass(frozen=True)
class Curve:
    """A point's radius, or the distance to expect, by its spread: straight lines between knots.

    spreads_px, radii_px: of the knots; neither falls. Beyond the last the radius grows with the spread.
    large_spread_px: few validation faces have a larger one.
    """

    spreads_px: tuple[float, ...]
    radii_px: tuple[float, ...]
    large_spread_px: float

    def __call__(self, spreads_px: Array) -> Floats:
        """The radii for spreads, both of the same shape."""
        last_px = self.spreads_px[-1]
        beyond = np.maximum(spreads_px / last_px, 1) if last_px else 1.0
        return np.interp(spreads_px, self.spreads_px, self.radii_px) * beyond

    def times(self, factor: float) -> Curve:
        """The same curve with its radii multiplied."""
        return Curve(
            self.spreads_px, tuple(factor * radius for radius in self.radii_px), self.large_spread_px
        )


@dataclass(frozen=True)
class Held:
    """What radii hold: the number of labels, the share of them that is held, and mean radii in pixels.

    constant_px: of radii of the same share without the spread.
    """

    labels: int
    share: float
    radius_px: float
    constant_px: float


@dataclass(frozen=True)
class CrossFitted:
    """Radii of rows by members and curves that other groups have chosen; shape (rows, points), NaN for none.

    distances_px: of the labels from what those members predict. constant_px: radii of the same share without
    the spread, one a point and fold. ranks: the share for which the radius would just reach the label.
    """

    radii_px: Floats
    distances_px: Floats
    constant_px: Floats
    ranks: Floats

    def held(self, rows: npt.NDArray[np.bool_], points: slice = slice(None)) -> Held | None:
        """What the radii of some rows hold, at all points or at some; None without labels."""
        distances, radii, constant = (
            values[rows, points] for values in (self.distances_px, self.radii_px, self.constant_px)
        )
        known = np.isfinite(distances) & np.isfinite(radii)
        if not known.any():
            return None
        share = (distances <= radii)[known].mean()
        means_px = radii[known].mean(), constant[known].mean()
        return Held(int(known.sum()), float(share), *map(float, means_px))


@dataclass(frozen=True)
class _Fitted:
    """expected: the distance to expect. times: how many times that the labels are away, sorted."""

    expected: Curve
    times: Floats

    def curve(self, coverage: float) -> Curve:
        return self.expected.times(_least_that_hold(self.times, coverage))

    def ranks(self, spreads: Floats, distances: Floats) -> Floats:
        nearer = np.searchsorted(self.times, distances / self.expected(spreads))
        return np.where(np.isfinite(distances), (nearer + 1) / (len(self.times) + 1), np.nan)


def radii_px(curves: Sequence[Curve | None], spreads_px: Array) -> Floats:
    """The radii of faces by the curves of their points, NaN without one; both of shape (faces, points)."""
    radii = np.full(spreads_px.shape, np.nan)
    for point, curve in enumerate(curves):
        if curve:
            radii[:, point] = curve(spreads_px[:, point])
    return radii


def fit_curves(
    predictions: Array, chosen: Sequence[int], truth: Array, groups: Counts, coverage: float
) -> list[Curve | None]:
    """The curve of every point, None for one with few labels; chosen: positions of members."""
    distances = distances_px(average_predictions(predictions, chosen), truth)
    columns = zip(spread_px(predictions[list(chosen)]).T, distances.T, strict=True)
    fitted = [_fit(*column, groups, coverage) for column in columns]
    return [one.curve(coverage) if one else None for one in fitted]


def cross_fit(
    predictions: Array, truth: Array, groups: Counts, sources: Counts, choose: Choose, coverage: float
) -> CrossFitted:
    """The radii of rows that had no part in them.

    sources: shape (rows,); one with many labels of a point has a curve of its own for it. choose: from
    predictions, truth and groups to positions of members.
    """
    found = CrossFitted(*(np.full(truth.shape[:2], np.nan) for _ in range(4)))
    for others, rows in fifths(groups):
        positions = choose(predictions[:, others], truth[others], groups[others])
        distances = distances_px(average_predictions(predictions, positions), truth)
        spreads = spread_px(predictions[list(positions)])
        found.distances_px[rows] = distances[rows]
        for point, source in itertools.product(range(truth.shape[1]), (None, *np.unique(sources))):
            fitted_on = others if source is None else others[sources[others] == source]
            labels = np.isfinite(distances[fitted_on, point]).sum()
            if source is not None and labels < LEAST_LABELS_OF_A_SOURCE:
                continue
            fitted = _fit(spreads[fitted_on, point], distances[fitted_on, point], groups[fitted_on], coverage)
            if fitted:
                place = rows if source is None else rows[sources[rows] == source], point
                found.radii_px[place] = fitted.curve(coverage)(spreads[place])
                found.ranks[place] = fitted.ranks(spreads[place], distances[place])
                found.constant_px[place] = _least_that_hold(distances[fitted_on, point], coverage)
    return found


def _fit(spreads: Floats, distances: Floats, groups: Counts, coverage: float) -> _Fitted | None:
    """Of one point, from its labelled rows; without the spread where that makes the radii smaller."""
    labelled = np.isfinite(distances) & np.isfinite(spreads)
    spreads, distances, groups = spreads[labelled], distances[labelled], groups[labelled]
    if len(distances) < LEAST_LABELS:
        return None
    expected, times = _expected(spreads, distances), np.full(len(distances), np.inf)
    for others, rows in fifths(groups):
        times[rows] = distances[rows] / _expected(spreads[others], distances[others])(spreads[rows])
    by_spread = _Fitted(expected, np.sort(times))
    constant = _Fitted(
        Curve(expected.spreads_px, (1.0,) * len(expected.spreads_px), expected.large_spread_px),
        np.sort(distances),
    )
    means_px = [one.curve(coverage)(spreads).mean() for one in (by_spread, constant)]
    return by_spread if len(expected.spreads_px) > 1 and means_px[0] <= means_px[1] else constant


def _expected(spreads: Floats, distances: Floats) -> Curve:
    """The distance to expect at quantiles of the spread."""
    from sklearn.isotonic import IsotonicRegression  # slow to load

    regression = IsotonicRegression(y_min=_LEAST_PART * distances.mean(), out_of_bounds="clip")
    regression.fit(spreads, distances)
    knots = np.unique(np.quantile(spreads, np.linspace(0, 1, _KNOTS)))
    large_px = float(np.quantile(spreads, _LARGE_QUANTILE))
    return Curve(tuple(knots.tolist()), tuple(regression.predict(knots).tolist()), large_px)


def _least_that_hold(values: Floats, coverage: float) -> float:
    """The least bound that a further value of the same kind keeps to with this probability."""
    known = np.sort(values[~np.isnan(values)])
    return float(known[min(math.ceil((len(known) + 1) * coverage), len(known)) - 1])
