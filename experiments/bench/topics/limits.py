"""Where the champion's limit lies: its validation errors taken apart, by source and by point."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.bench.conditions import RESULTS
from experiments.bench.subjects.finished_run import CHAMPION, PUBLISHED, completely_labelled, table_of_run
from fkd.core.metrics import rmse_px
from fkd.data.faces import Faces
from fkd.ensemble.validation import read_validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.runs.splits import read_split

PARTS, POINTS = RESULTS / "limits-parts.csv", RESULTS / "limits-points.csv"
AGAINST = RESULTS / "limits-against.csv"

Pixels = npt.NDArray[np.floating]


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """The parts of the error by how many points of a face are labelled, and the error of every point."""
    return {
        "The champion's error in parts, px": table_of_run(PARTS, data_folder, _part_lines),
        "The champion's error by point, RMSE px": table_of_run(POINTS, data_folder, _point_lines),
        "The champion against the published recipe, the same labels": table_of_run(
            AGAINST, data_folder, _against_lines
        ),
    }


def within_groups_px(errors_px: Pixels, groups: npt.NDArray[np.int64]) -> float:
    """Standard deviation of errors about the mean of their group, pooled over groups and coordinates.

    errors_px: shape (rows, points, 2), NaN where there is no label; groups: (rows,). NaN where no group has
    two rows.
    """
    errors = pd.DataFrame(errors_px.reshape(len(errors_px), -1).astype(np.float64))
    by_group = errors.groupby(groups)
    degrees_of_freedom = (by_group.count() - 1).clip(lower=0).to_numpy().sum()
    squares = ((errors - by_group.transform("mean")) ** 2).to_numpy()
    return float(np.sqrt(np.nansum(squares) / degrees_of_freedom)) if degrees_of_freedom else np.nan


def _part_lines(run: Run, experiment: Experiment, specialist: str, faces: Faces) -> list[dict[str, object]]:
    predictions_px, truth_px, groups, kinds = _validation(run, experiment, specialist, faces)
    average_px = predictions_px.mean(axis=0)
    errors_px = truth_px - average_px
    deviations_px = np.where(np.isfinite(truth_px), predictions_px - average_px, np.nan)
    members = len(predictions_px)
    lines: list[dict[str, object]] = []
    for kind, of in kinds.items():
        error, within = rmse_px(average_px[of], truth_px[of]), within_groups_px(errors_px[of], groups[of])
        parts = {
            "RMSE": error,
            "a member about the average": np.sqrt(
                np.nansum(deviations_px[:, of] ** 2) / (np.isfinite(truth_px[of]).sum() * (members - 1))
            ),
            "all points of a face together": np.sqrt(np.nanmean(np.nanmean(errors_px[of], axis=1) ** 2)),
            "among the faces of a group": within,
            "among groups": np.sqrt(max(error**2 - within**2, 0.0)),
        }
        counts = {"faces": int(of.sum()), "groups": len(np.unique(groups[of]))}
        lines.append(
            {"labelled": kind, **counts, **{name: round(float(px), 3) for name, px in parts.items()}}
        )
    return lines


def _point_lines(run: Run, experiment: Experiment, specialist: str, faces: Faces) -> list[dict[str, object]]:
    predictions_px, truth_px, _, kinds = _validation(run, experiment, specialist, faces)
    average_px = predictions_px.mean(axis=0)
    names = np.array(experiment.schema_points.names)[experiment.point_indices(specialist)]
    lines: list[dict[str, object]] = []
    for i, name in enumerate(names):
        labelled = {kind: of & np.isfinite(truth_px[:, i]).all(axis=1) for kind, of in kinds.items()}
        scores = {
            kind: round(rmse_px(average_px[of, i : i + 1], truth_px[of, i : i + 1]), 3) if of.any() else None
            for kind, of in labelled.items()
        }
        lines.append({"point": name, **scores})
    return lines


def _against_lines(
    run: Run, experiment: Experiment, specialist: str, faces: Faces
) -> list[dict[str, object]]:
    """RMSE of both on the labels that a specialist of the published recipe and the champion validate on."""
    published = Run(run.path.with_name(run.name.replace(CHAMPION, PUBLISHED)))
    other, split = published.read_experiment(), read_split(run, specialist)
    ours_px = _average(run, experiment, specialist, faces)
    lines: list[dict[str, object]] = []
    errors_px: dict[str, list[Pixels]] = {"champion": [], "published": []}
    for name in other.specialists:
        rows, ours, theirs = np.intersect1d(
            split.validation, read_split(published, name).validation, return_indices=True
        )
        points = other.point_indices(name)
        truth_px = faces.keypoints[rows][:, points]
        errors_px["champion"].append((ours_px[ours][:, points] - truth_px).ravel())
        errors_px["published"].append((_average(published, other, name, faces)[theirs] - truth_px).ravel())
        lines.append({"points": name, **_scores({who: parts[-1] for who, parts in errors_px.items()})})
    both = {who: np.concatenate(parts) for who, parts in errors_px.items()}
    return [*lines, {"points": "both together", **_scores(both)}]


def _scores(errors_px: dict[str, Pixels]) -> dict[str, float]:
    scores = {who: float(np.sqrt(np.nanmean(errors**2))) for who, errors in errors_px.items()}
    scores["ratio"] = scores["champion"] / scores["published"]
    return {name: round(score, 3) for name, score in scores.items()} | {
        "labels": len(errors_px["champion"]) // 2
    }


def _average(run: Run, experiment: Experiment, specialist: str, faces: Faces) -> Pixels:
    return read_validation(run, experiment, specialist, faces).predictions_px.mean(axis=0)


def _validation(
    run: Run, experiment: Experiment, specialist: str, faces: Faces
) -> tuple[Pixels, Pixels, npt.NDArray[np.int64], dict[str, npt.NDArray[np.bool_]]]:
    """Members' predictions of the validation rows, these rows' truth and groups, and rows by kind."""
    validation = read_validation(run, experiment, specialist, faces)
    complete = completely_labelled(run, specialist, faces)
    kinds = {"all points": complete, "fewer": ~complete}
    return validation.predictions_px, validation.truth_px, validation.split.validation_groups, kinds
