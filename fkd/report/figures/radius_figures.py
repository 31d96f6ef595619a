"""Whether the radii hold as many labels as they should, and how large they are, as figures."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import seaborn
from matplotlib import rcParams
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fkd.ensemble.validation import Validation
from fkd.report.page import Figure
from fkd.report.style import COLUMN_IN

_LEAST_SHOWN = 0.03  # of shares to either side, so that small differences look small
_SHARES = np.linspace(0.01, 0.99, 99)


def radius_figures(validations: Sequence[Validation], names: Sequence[str]) -> list[Figure]:
    """Calibration by source, and coverage and mean radius by point; none where there are too few labels.

    names: of the schema's points.
    """
    measured = [validation for validation in validations if validation.held_by_source()]
    if not measured:
        return []
    coverage = measured[0].experiment.prediction.coverage
    held = [
        f"{one.share:.1%} of {one.labels:,} labels in {one.radius_px:.2f} px ({_name(validation, source)}; a "
        f"constant radius a point: {one.constant_px:.2f} px)"
        for validation in measured
        for source, one in validation.held_by_source().items()
    ]
    return [
        Figure(
            "radius-calibration",
            "Share of labels that the radii hold",
            "How many labels lie within radii that are to hold a share of them, on faces of groups that took "
            f"no part; on the line they hold what they promise. At {coverage:.0%}: {'; '.join(held)}.",
            partial(_draw_calibration, _calibration_table(measured)),
        ),
        Figure(
            "radii-by-keypoint",
            "Radii by keypoint",
            f"Share of labels within the radius that is to hold {coverage:.0%} of them, and the mean radius, "
            "by keypoint and source; hollow marks are one constant radius a point.",
            partial(_draw_points, _point_table(measured, names), coverage),
        ),
    ]


def _name(validation: Validation, source: str) -> str:
    return f"{validation.specialist}, {source}"


def _calibration_table(validations: Sequence[Validation]) -> pd.DataFrame:
    """Columns source, asked and held: shares of labels."""
    tables = []
    for validation in validations:
        for source, rows in validation.sources().items():
            ranks = validation.cross_fitted_radii.ranks[rows]
            ranks = np.sort(ranks[np.isfinite(ranks)])
            if len(ranks):
                held = np.searchsorted(ranks, _SHARES, side="right") / len(ranks)
                name = _name(validation, source)
                tables.append(pd.DataFrame({"source": name, "asked": _SHARES, "held": held}))
    return pd.concat(tables, ignore_index=True)


def _draw_calibration(table: pd.DataFrame) -> Drawing:
    figure = Drawing(figsize=(COLUMN_IN, 3.4))
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color=rcParams["text.color"], linewidth=0.8, linestyle=":")
    seaborn.lineplot(table, x="asked", y="held", hue="source", ax=axes)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    axes.set(xlabel="labels to be held", ylabel="labels held", xlim=(0, 1), ylim=(0, 1))
    seaborn.move_legend(axes, "upper left", title=None)
    axes.grid(visible=True)
    return figure


def _point_table(validations: Sequence[Validation], names: Sequence[str]) -> pd.DataFrame:
    """Columns order, point, source, share, radius_px and constant_px, one line a point and source."""
    lines = []
    for validation in validations:
        for source, rows in validation.sources().items():
            for position, point in enumerate(validation.points.tolist()):
                if held := validation.cross_fitted_radii.held(rows, slice(position, position + 1)):
                    words = point, names[point].replace("_", " "), _name(validation, source)
                    lines.append((*words, held.share, held.radius_px, held.constant_px))
    columns = ["order", "point", "source", "share", "radius_px", "constant_px"]
    return pd.DataFrame(lines, columns=columns).sort_values("order", kind="stable")


def _draw_points(table: pd.DataFrame, coverage: float) -> Drawing:
    points = table["point"].nunique()
    figure = Drawing(figsize=(COLUMN_IN, 1.2 + points * (0.24 if points < 30 else 0.15)))
    shares, radii = figure.subplots(1, 2, sharey=True)
    marks = {"y": "point", "hue": "source", "jitter": False, "dodge": True, "size": 4}
    seaborn.stripplot(table, x="share", ax=shares, **marks)
    seaborn.stripplot(table, x="radius_px", ax=radii, legend=False, **marks)
    seaborn.stripplot(
        table, x="constant_px", ax=radii, legend=False, marker="$\\circ$", **(marks | {"size": 6})
    )
    shares.axvline(coverage, color=rcParams["text.color"], linewidth=0.8, linestyle=":")
    shares.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    shares.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    left, right = shares.get_xlim()
    limits = min(left, coverage - _LEAST_SHOWN), max(right, coverage + _LEAST_SHOWN)
    shares.set(xlabel="labels held", ylabel="", xlim=limits)
    radii.set(xlabel="mean radius px", ylabel="", xlim=(0, None))
    shares.tick_params(axis="y", labelsize=8 if points < 30 else 6, length=0)
    for axes in (shares, radii):
        axes.grid(visible=True, axis="x")
    seaborn.move_legend(shares, "lower left", bbox_to_anchor=(0, 1), title=None, borderpad=0, fontsize=7)
    return figure
