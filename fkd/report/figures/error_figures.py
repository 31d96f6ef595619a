"""Where the selected average goes wrong on the validation faces, as figures."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn
from matplotlib import rcParams
from matplotlib.figure import Figure as Drawing
from scipy.stats import spearmanr

from fkd.core.metrics import distances_px, spread_px
from fkd.data.faces import FaceData
from fkd.ensemble.label_outliers import label_outliers
from fkd.report.figures.face_grid import draw_faces
from fkd.report.figures.radius_figures import radius_figures
from fkd.report.measures import binned_errors, coordinate_rmse_px, face_rmse_px, part_of_face
from fkd.report.page import Figure, Section
from fkd.report.run_record import RunRecord, SpecialistRecord
from fkd.report.style import COLUMN_IN

_FACES = 12
_BINS = 10
_MARKS = "os^Dv"
_SHOWN_QUANTILE = 0.99


def error_section(record: RunRecord, faces: FaceData) -> Section:
    """Errors by keypoint, coordinate and part, worst and best faces, and disagreement as an uncertainty."""
    specialists = record.selected
    if not specialists:
        return Section("Errors", "No members are chosen yet, so there is no average to examine.")
    names = record.experiment.schema_points.names
    figures = [
        Figure(
            "errors-by-keypoint",
            "RMSE by keypoint and coordinate",
            "Validation RMSE of the selected average across (x) and down (y); a long bar is a point that is "
            "hard to see or was labelled loosely.",
            partial(_draw_coordinates, _coordinate_table(specialists, names)),
        ),
        Figure(
            "cumulative-errors",
            "Share of points within a distance",
            "How many of the predicted points lie within a distance of their label, by part of the face.",
            partial(_draw_cumulative, _distance_table(specialists, names)),
        ),
        *(figure for specialist in specialists for figure in _face_figures(specialist, faces)),
    ]
    text = f"The selected average on {_counted_rows(specialists)}; the same faces chose the members."
    missing = sorted({specialist.name for specialist in record.specialists} - {s.name for s in specialists})
    if missing:
        text += f" Missing: {', '.join(missing)}, without chosen members."
    uncertain = [specialist for specialist in specialists if len(_judges(specialist)) > 1]
    if uncertain:
        figures.append(_uncertainty_figure(uncertain))
    else:
        text += " A single member disagrees with nobody: uncertainty is left out."
    figures += radius_figures([specialist.validation for specialist in specialists], names)
    return Section("Errors", text, figures)


def _counted_rows(specialists: Sequence[SpecialistRecord]) -> str:
    return " and ".join(f"{len(s.truth_px):,} validation faces ({s.name})" for s in specialists)


def _coordinate_table(specialists: Sequence[SpecialistRecord], names: Sequence[str]) -> pd.DataFrame:
    """Columns point, axis and rmse_px, in the schema's order."""
    rows = []
    for specialist in specialists:
        errors_px = coordinate_rmse_px(specialist.average_px, specialist.truth_px)
        for point, (x_px, y_px) in zip(specialist.points.tolist(), errors_px, strict=True):
            rows += [(point, names[point], "x", x_px), (point, names[point], "y", y_px)]
    table = pd.DataFrame(rows, columns=["order", "point", "axis", "rmse_px"])
    return table.sort_values("order", kind="stable").drop(columns="order")


def _draw_coordinates(table: pd.DataFrame) -> Drawing:
    points = table["point"].nunique()
    figure = Drawing(figsize=(COLUMN_IN, 0.9 + points * (0.24 if points < 30 else 0.15)))
    axes = figure.subplots()
    words = table.assign(point=table["point"].str.replace("_", " "))
    seaborn.barplot(
        words, x="rmse_px", y="point", hue="axis", errorbar=None, palette=["C0", "C1"], saturation=1, ax=axes
    )
    axes.set(xlabel="validation RMSE px", ylabel="")
    axes.tick_params(axis="y", labelsize=8 if points < 30 else 6, length=0)
    axes.legend(title=None, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0)
    axes.grid(visible=True, axis="x")
    return figure


def _distance_table(specialists: Sequence[SpecialistRecord], names: Sequence[str]) -> pd.DataFrame:
    """Columns part and distance_px, one line a labelled point of a validation face."""
    parts = []
    for specialist in specialists:
        distances = distances_px(specialist.average_px, specialist.truth_px)
        of_points = [part_of_face(names[point]) for point in specialist.points.tolist()]
        columns = {"part": np.tile(of_points, len(distances)), "distance_px": distances.ravel()}
        parts.append(pd.DataFrame(columns).dropna())
    return pd.concat(parts, ignore_index=True)


def _draw_cumulative(table: pd.DataFrame) -> Drawing:
    figure = Drawing(figsize=(COLUMN_IN, 3.4))
    axes = figure.subplots()
    every_part = pd.concat([table, table.assign(part="all")])
    order = [*table.groupby("part")["distance_px"].median().sort_values().index, "all"]
    palette = [f"C{i}" for i in range(len(order) - 1)] + [rcParams["text.color"]]
    seaborn.ecdfplot(
        every_part, x="distance_px", hue="part", hue_order=order, palette=palette, stat="percent", ax=axes
    )
    seaborn.move_legend(axes, "lower right", title=None)
    axes.set(
        xlabel="distance px", ylabel="% of points", xlim=(0, table["distance_px"].quantile(_SHOWN_QUANTILE))
    )
    axes.grid(visible=True)
    return figure


def _face_figures(specialist: SpecialistRecord, faces: FaceData) -> list[Figure]:
    errors_px = face_rmse_px(specialist.average_px, specialist.truth_px)
    worst_last = [row for row in np.argsort(errors_px).tolist() if np.isfinite(errors_px[row])]
    shown = min(_FACES, len(worst_last) // 2) or 1
    outliers = label_outliers(
        specialist.average_px, specialist.truth_px, specialist.validation.cross_fitted_radii.radii_px
    ).drop_duplicates("row")[:shown]
    rmse = {row: f"{errors_px[row]:.2f}" for row in worst_last}
    parts = {
        "worst": {row: rmse[row] for row in worst_last[::-1][:shown]},
        "best": {row: rmse[row] for row in worst_last[:shown]},
        "label-outlier": {one.row: f"{one.radii:.1f} radii" for one in outliers.itertuples()},
    }
    captions = {
        "worst": "Validation faces with the largest RMSE: hard poses, poor pictures or wrong labels; above "
        "each its row in the data (#) and its RMSE in pixels.",
        "best": "Validation faces with the smallest RMSE.",
        "label-outlier": "Validation faces with the labels furthest from the prediction, in radii of the "
        "point, above each its row (#): wrong labels, or hidden points. far_labels.csv in the run's folder "
        "lists them all.",
    }
    return [
        Figure(
            f"{part}-faces-{specialist.name}",
            f"{part.capitalize()} faces of {specialist.name}",
            captions[part],
            partial(_draw_rows, specialist, faces, rows),
        )
        for part, rows in parts.items()
        if rows
    ]


def _draw_rows(specialist: SpecialistRecord, faces: FaceData, words_by_row: Mapping[int, str]) -> Drawing:
    """words_by_row: what is said of these validation faces, in their order."""
    rows = list(words_by_row)
    validation = specialist.validation.split.validation[rows]
    point_sets: dict[str, npt.NDArray[np.floating]] = {
        "prediction": specialist.average_px[rows],
        "truth": specialist.truth_px[rows],
    }
    ids = faces.training.ids[validation]
    titles = [f"#{row}: {words}" for row, words in zip(ids, words_by_row.values(), strict=True)]
    return draw_faces(faces.training.images[validation], point_sets, titles)


def _judges(specialist: SpecialistRecord) -> list[int]:
    """Positions of the members whose disagreement is measured: the chosen, or all if only one is chosen."""
    chosen = sorted(set(specialist.chosen))
    return chosen if len(chosen) > 1 else list(range(len(specialist.usable)))


def _uncertainty_figure(specialists: Sequence[SpecialistRecord]) -> Figure:
    bins, correlations = [], []
    for specialist in specialists:
        spreads_px = spread_px(specialist.predictions_px[_judges(specialist)])
        errors_px = distances_px(specialist.average_px, specialist.truth_px)
        labelled = np.isfinite(errors_px)
        rank = spearmanr(spreads_px[labelled], errors_px[labelled]).statistic
        correlations.append(f"{rank:.2f} ({specialist.name})")
        bins.append(binned_errors(spreads_px, errors_px, _BINS).assign(specialist=specialist.name))
    return Figure(
        "uncertainty",
        "Error against the members' disagreement",
        "Points in ten equally full bins of the standard deviation of the members' predictions: mean "
        f"distance from the label, and its quartiles; rank correlation {', '.join(correlations)}.",
        partial(_draw_uncertainty, bins),
    )


def _draw_uncertainty(bins: Sequence[pd.DataFrame]) -> Drawing:
    figure = Drawing(figsize=(COLUMN_IN, 3.4))
    axes = figure.subplots()
    for number, table in enumerate(bins):
        hue, x_px = f"C{number}", table["disagreement_px"]
        axes.fill_between(x_px, table["lower_px"], table["upper_px"], color=hue, alpha=0.2, linewidth=0)
        name = table["specialist"].iloc[0]
        axes.plot(x_px, table["error_px"], f"{_MARKS[number % len(_MARKS)]}-", color=hue, ms=4, label=name)
    axes.set(xlabel="disagreement of the members px", ylabel="distance from the label px", ylim=(0, None))
    axes.legend(loc="upper left")
    axes.grid(visible=True)
    return figure
