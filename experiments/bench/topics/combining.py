"""Ways to combine members, of the champion and as published: what each is worth on faces that fitted none."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import nnls
from scipy.stats import trim_mean

from experiments.bench.conditions import RESULTS
from experiments.bench.subjects.finished_run import PUBLISHED, completely_labelled, table_of_run
from fkd.core.metrics import rmse_px
from fkd.data.faces import Faces
from fkd.ensemble.folds import Groups, fifths
from fkd.ensemble.selection import Combine, Fit, average_predictions, fitted_across, select_members
from fkd.ensemble.validation import Validation, read_validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Selection
from fkd.experiment.store import Run

TABLE, PUBLISHED_TABLE = RESULTS / "combining.csv", RESULTS / "combining-published.csv"
TRIMMED_SHARE = 0.2  # of the members at either end
RIDGE = 10.0  # in faces: the penalty on a weight counts as much as this many faces

Pixels = npt.NDArray[np.floating]


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """RMSE of every way, fitted on four fifths of the validation groups and scored on the other, in turn."""
    return {
        "Combining members of the champion, validation RMSE px": table_of_run(TABLE, data_folder, _lines),
        "Combining members of `ensemble`, validation RMSE px": table_of_run(
            PUBLISHED_TABLE, data_folder, _lines, PUBLISHED
        ),
    }


def against(
    combined_px: Pixels, mean_px: Pixels, truth_px: Pixels, parts: Sequence[npt.NDArray[np.intp]]
) -> str:
    """How much larger the error is than the mean's, with the standard deviation over parts of the rows."""
    larger_px = [rmse_px(combined_px[of], truth_px[of]) - rmse_px(mean_px[of], truth_px[of]) for of in parts]
    return f"{np.mean(larger_px):+.3f} ± {np.std(larger_px, ddof=1):.3f}"


def fit_weights(predictions_px: Pixels, truth_px: Pixels, _: Groups | None = None) -> Combine:
    """Non-negative weights of the members, the same for all points, that add up to 1.

    predictions_px: shape (members, rows, points, 2). truth_px: shape (rows, points, 2), NaN without a label.
    """
    labelled = np.isfinite(truth_px)
    weights, _ = nnls(predictions_px[:, labelled].T.astype(np.float64), truth_px[labelled].astype(np.float64))
    return lambda others_px: np.tensordot(weights / weights.sum(), others_px, axes=1)


def fit_stacking(predictions_px: Pixels, truth_px: Pixels, _: Groups | None = None) -> Combine:
    """The mean, corrected for every coordinate by a ridge regression of its error on all coordinates.

    The arrays are those of `fit_weights`. A coordinate that no row labels is not corrected.
    """

    def features(some_px: Pixels) -> npt.NDArray[np.float64]:
        flat_px = some_px.mean(axis=0).reshape(some_px.shape[1], -1)
        return np.column_stack([flat_px - centre_px, np.ones(len(flat_px))])

    centre_px = predictions_px.mean(axis=(0, 1)).ravel()
    x = features(predictions_px)
    errors_px = (truth_px - predictions_px.mean(axis=0)).reshape(len(truth_px), -1)
    penalty = RIDGE * np.diag((x**2).mean(axis=0))
    weights = np.zeros((x.shape[1], errors_px.shape[1]))
    for i, column in enumerate(errors_px.T):
        rows = np.isfinite(column)
        if rows.any():
            weights[:, i] = np.linalg.solve(x[rows].T @ x[rows] + penalty, x[rows].T @ column[rows])

    def combine(others_px: Pixels) -> Pixels:
        return others_px.mean(axis=0) + (features(others_px) @ weights).reshape(others_px.shape[1:])

    return combine


def _lines(run: Run, experiment: Experiment, specialist: str, training: Faces) -> list[dict[str, object]]:
    validation = read_validation(run, experiment, specialist, training)
    truth_px = validation.truth_px
    complete = completely_labelled(run, specialist, training)
    parts = {"all faces": np.ones_like(complete), "all points labelled": complete, "fewer": ~complete}
    fifth = [rows for _, rows in fifths(validation.split.validation_groups)]
    combined = _combined(validation)
    return [
        {
            "way": way,
            **{
                name: round(rmse_px(combined_px[of], truth_px[of]), 3)
                for name, of in parts.items()
                if of.any()
            },
            "against the mean, over fifths": against(combined_px, combined["mean"], truth_px, fifth),
        }
        for way, combined_px in combined.items()
    ]


def _combined(validation: Validation) -> dict[str, Pixels]:
    """What every way makes of a specialist's validation faces, shape (rows, points, 2) each."""
    predictions_px = validation.predictions_px
    combined = {"mean, without label offsets": validation.augmented_px.mean(axis=0)}
    for index, member_px in zip(validation.members, predictions_px, strict=True):
        combined[f"member {index:02d} alone"] = member_px
    groups = validation.split.validation_groups
    for way, fit in _ways(validation.specialist, validation.members).items():
        combined[way] = fitted_across(predictions_px, validation.truth_px, groups, fit, fifths(groups))
    return combined


def _ways(specialist: str, members: Sequence[int]) -> dict[str, Fit]:
    def select(selection: Selection, predictions_px: Pixels, truth_px: Pixels, groups: Groups) -> Combine:
        chosen = select_members(predictions_px, truth_px, selection, specialist, members, groups)
        return lambda others_px: average_predictions(others_px, chosen)

    return {
        "mean": lambda *_: lambda predictions_px: predictions_px.mean(axis=0),
        "median": lambda *_: lambda predictions_px: np.median(predictions_px, axis=0),
        "trimmed mean": lambda *_: lambda predictions_px: trim_mean(predictions_px, TRIMMED_SHARE, axis=0),
        "best": partial(select, Selection(policy="best")),
        "greedy": partial(select, Selection(policy="greedy")),
        "stack": partial(select, Selection(policy="stack")),
        "non-negative weights": fit_weights,
        "ridge on all points": fit_stacking,
    }
