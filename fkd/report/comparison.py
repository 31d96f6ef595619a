"""Systems side by side, scored on the same validation rows.

The figures come from stored runs; one that is not finished leaves its row empty.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fkd.core.errors import UserError
from fkd.core.keypoints import COMPETITION_COUNTS, IMAGE_SIZE_PX
from fkd.core.metrics import jackknife_error, rmse_px, rmse_without_px, weighted_rmse_px
from fkd.data.faces import FaceData
from fkd.ensemble.folds import halves
from fkd.ensemble.predict import predict_ensemble
from fkd.ensemble.selection import cross_validated_average, select_members
from fkd.ensemble.validation import Validation, read_validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Prediction, Selection
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import HistoryColumn, Run, read_history, trained_otherwise
from fkd.report.comparison_file import Measure, Row, Table
from fkd.runs.status import finished_members
from fkd.training.networks.build import build_model

Array = npt.NDArray[np.floating]
Histories = Mapping[MemberId, Sequence[Mapping[str, float]]]

_HEADINGS: dict[Measure, str] = {
    "rmse_px": "validation RMSE px",
    "rmse_error_px": "its standard error over people",
    "behind_first_px": "behind the first row",
    "behind_first_error_px": "standard error of that",
    "competition_px": "weighted as the competition",
    "alone_rmse_px": "of a member alone",
    "alone_spread_px": "standard deviation over members",
    "mae_px": "MAE px",
    "mae_sum": "MAE sum",
    "loss": "training loss",
    "validation_loss": "validation loss",
    "minutes": "minutes a member",
}
_COSTS = ("networks", "parameters", "images/s", "epochs", "images seen by each")
MADE_BY = ("seed", "code", "machine")
_POLICIES: dict[str, Literal["best", "all", "greedy"]] = {"best": "best", "all": "all", "chosen": "greedy"}


def compare_table(
    table: Table, runs: Mapping[Row, tuple[Experiment, Run]], faces: FaceData, command: str
) -> pd.DataFrame:
    """A table's figures, one line a row in its order; empty cells where the run is not finished.

    All are scored on the rows that validate in every finished run: nobody trained on them. command: what
    trains an experiment whose name follows it. The column `checksum` is the same for the same settings and
    data. Raises UserError where no row validates in all.
    """
    if by_source := sorted(row.experiment for row, (experiment, _) in runs.items() if experiment.continuing):
        raise UserError(
            f"{table.title}: expected experiments whose specialists all begin anew, received {by_source[0]}; "
            "leave its row out"
        )
    histories = finished_histories(runs)
    parts = {row: row.part_of(experiment) for row, (experiment, _) in runs.items()}
    finished = {row: (parts[row], runs[row][1]) for row in histories}
    validations = {row: _read_validations(*run, faces) for row, run in finished.items()}
    rows = _common_validation_rows(table.title, list(validations.values()))
    found = {
        row: _measure(row, run, histories[row], validations[row], faces, rows)
        for row, (_, run) in finished.items()
    }
    first = found.get(table.rows[0])
    lines = []
    for row in table.rows:
        line: dict[str, Any] = {"system": row.system}
        if row in finished:
            line |= _costs(finished[row][0], histories[row]) | _made_by(*finished[row])
            measured = found[row].measures | (found[row].behind(first) if first else {})
            line |= {_HEADINGS[name]: measured.get(name, np.nan) for name in table.measures}
        lines.append(line | _words(row, command) | {"checksum": _checksum(row, parts[row], faces)})
    return _as_frame(table, lines)


def finished_histories(runs: Mapping[Row, tuple[Experiment, Run]]) -> dict[Row, Histories]:
    """The histories of the rows whose runs are finished."""
    return {
        row: _read_histories(row.part_of(experiment), run)
        for row, (experiment, run) in runs.items()
        if _is_finished(row, experiment, run)
    }


def unmeasured_table(table: Table, command: str) -> pd.DataFrame:
    """`compare_table` without figures and checksums, for a table whose data are not at hand."""
    return _as_frame(table, [{"system": row.system} | _words(row, command) for row in table.rows])


def _words(row: Row, command: str) -> dict[str, Any]:
    return {"published": row.published, "remark": row.remark, "command": f"{command} {row.experiment}"}


def _as_frame(table: Table, lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    remark = "remark" if any(row.remark for row in table.rows) else "published"
    measured = (_HEADINGS[name] for name in table.measures)
    return pd.DataFrame(
        lines, columns=["system", *_COSTS, *measured, remark, *MADE_BY, "command", "checksum"]
    )


def _made_by(experiment: Experiment, run: Run) -> dict[str, str]:
    """What trained a row: its seed and how many networks were drawn from it, the code, the machine."""
    made = run.read_provenance()
    members = " + ".join(str(one.members) for one in experiment.specialists.values())
    # Earlier versions name neither the processor nor its cores.
    machine = f"{made['processor']}, {made['cores']} cores" if "cores" in made else made.get("machine", "")
    seed = f"{experiment.seed}, {members} members"
    return dict(zip(MADE_BY, (seed, made.get("commit", ""), machine), strict=True))


def _checksum(row: Row, experiment: Experiment, faces: FaceData) -> str:
    """Of what a row's figures follow from: the settings that are not at their defaults, and the data."""
    settings = [model.model_dump_json(exclude_defaults=True) for model in (experiment, row.prediction)]
    return hashlib.sha256("\n".join([*settings, row.members, faces.checksum]).encode()).hexdigest()[:12]


def _is_finished(row: Row, experiment: Experiment, run: Run) -> bool:
    """Whether all members of the row's specialists are trained, on this budget and no other.

    Raises as `finished_members` does.
    """
    if not run.experiment.exists() or trained_otherwise(run.read_experiment(), experiment):
        return False
    return all(
        len(finished_members(run, experiment, name)[0]) == settings.members
        for name, settings in row.part_of(experiment).specialists.items()
    )


def _read_validations(experiment: Experiment, run: Run, faces: FaceData) -> dict[str, Validation]:
    """Of every specialist, with all members."""
    return {
        name: read_validation(run, experiment, name, faces.training, range(settings.members))
        for name, settings in experiment.specialists.items()
    }


def _read_histories(experiment: Experiment, run: Run) -> Histories:
    return {member: read_history(run.member(*member)) for member in experiment.members}


def _common_validation_rows(
    title: str, validations: Sequence[Mapping[str, Validation]]
) -> npt.NDArray[np.int64]:
    splits = [one.split.validation for of_run in validations for one in of_run.values()]
    common = reduce(np.intersect1d, splits) if splits else np.array([], np.int64)
    if validations and not len(common):
        raise UserError(
            f"{title}: expected faces that validate in all of its runs, received none; "
            "give its experiments the same seed and validation_fraction"
        )
    return common


def _costs(experiment: Experiment, histories: Histories) -> dict[str, Any]:
    """What a system took; its speed is that of its fastest epoch, which other work disturbed least."""
    parameters = [_parameters(experiment, specialist) for specialist, _ in histories]
    epochs = {specialist: len(history) for (specialist, _), history in histories.items()}
    speeds = [
        max(record[HistoryColumn.IMAGES] / record[HistoryColumn.TRAINING_SECONDS] for record in history)
        for history in histories.values()
    ]
    images = {sum(record[HistoryColumn.IMAGES] for record in history) for history in histories.values()}
    values = (
        len(histories),
        sum(parameters),
        round(float(np.mean(speeds))),
        " + ".join(map(str, epochs.values())),
        max(images),
    )
    return dict(zip(_COSTS, values, strict=True))


@dataclass(frozen=True)
class _Measured:
    """A system's measures; without_px: its RMSE without each person in turn."""

    measures: dict[Measure, float]
    without_px: npt.NDArray[np.float64]

    def behind(self, first: "_Measured") -> dict[Measure, float]:
        return {
            "behind_first_px": self.measures["rmse_px"] - first.measures["rmse_px"],
            "behind_first_error_px": jackknife_error(self.without_px - first.without_px),
        }


def _measure(
    row: Row,
    run: Run,
    histories: Histories,
    validations: Mapping[str, Validation],
    faces: FaceData,
    rows: npt.NDArray[np.int64],
) -> _Measured:
    """All measures of a system on these rows of the training faces, over all points that it predicts."""
    predictions, truth = [], []
    names = [faces.point_names[point] for one in validations.values() for point in one.points]
    for validation in validations.values():
        truth.append(faces.training.keypoints[rows][:, validation.points])
        predictions.append(_predict(row, run, validation, faces, rows, truth[-1]))
    predicted_px, truth_px = np.concatenate(predictions, axis=1), np.concatenate(truth, axis=1)
    errors_px = np.abs(predicted_px - truth_px)
    alone_px = _alone_px(validations, rows, truth_px)
    split = next(iter(validations.values())).split
    people = split.validation_groups[np.searchsorted(split.validation, rows)]
    without_px = rmse_without_px(predicted_px, truth_px, people)
    measures: dict[Measure, float] = {
        "rmse_px": rmse_px(predicted_px, truth_px),
        "rmse_error_px": jackknife_error(without_px),
        "competition_px": _competition_px(predicted_px, truth_px, names),
        "alone_rmse_px": float(np.mean(alone_px)),
        "alone_spread_px": float(np.std(alone_px, ddof=1)) if len(alone_px) > 1 else np.nan,
        "mae_px": float(np.nanmean(errors_px)),
        # The other published definition: coordinates from 0 to 1, summed over the points of a face.
        "mae_sum": float(np.nansum(errors_px, axis=(1, 2)).mean()) / IMAGE_SIZE_PX,
    }
    return _Measured(measures | _in_training(histories), without_px)


def _in_training(histories: Histories) -> dict[Measure, float]:
    """The losses at the best epochs, and minutes at the pace of the fastest, which was disturbed least."""
    best = [
        min(history, key=lambda record: record[HistoryColumn.VALIDATION_RMSE_PX])
        for history in histories.values()
    ]
    seconds = [
        len(history) * min(record.get(HistoryColumn.SECONDS, np.nan) for record in history)
        for history in histories.values()
    ]
    return {
        "loss": float(np.mean([record[HistoryColumn.LOSS] for record in best])),
        "validation_loss": float(np.mean([record[HistoryColumn.VALIDATION_LOSS] for record in best])),
        "minutes": float(np.mean(seconds)) / 60,
    }


def _competition_px(predicted_px: Array, truth_px: Array, names: Sequence[str]) -> float:
    """The RMSE where each point counts as often as the competition asks for it; NaN for other points."""
    if set(names) != set(COMPETITION_COUNTS):
        return np.nan
    counts = np.array([COMPETITION_COUNTS[name] for name in names], float)
    return weighted_rmse_px(predicted_px, truth_px, counts)


def _alone_px(
    validations: Mapping[str, Validation], rows: npt.NDArray[np.int64], truth_px: Array
) -> list[float]:
    """RMSE of every member by itself; where there are several specialists, of one of each together."""
    by_specialist = []
    for validation in validations.values():
        positions = np.searchsorted(validation.split.validation, rows)
        by_specialist.append(validation.predictions_px[:, positions])
    return [
        rmse_px(np.concatenate(round_px, axis=1), truth_px) for round_px in zip(*by_specialist, strict=False)
    ]


def _predict(
    row: Row,
    run: Run,
    validation: Validation,
    faces: FaceData,
    rows: npt.NDArray[np.int64],
    truth_px: Array,
) -> Array:
    """A specialist's predictions for these rows, chosen on other groups of faces than they predict."""
    specialist, members = validation.specialist, validation.members
    if row.prediction != Prediction():
        asked = validation.experiment.model_copy(update={"prediction": row.prediction})
        images = faces.training.images[rows]
        return predict_ensemble(run, asked, {specialist: members}, images)[:, validation.points]
    positions = np.searchsorted(validation.split.validation, rows)
    selection = Selection(policy=_POLICIES[row.members])

    def choose(some: Array, labels: Array, _: npt.NDArray[np.int64]) -> Sequence[int]:
        return select_members(some, labels, selection, specialist, members)

    common = validation.predictions_px[:, positions]
    groups = validation.split.validation_groups[positions]
    cross_validated = cross_validated_average(common, truth_px, groups, choose, halves(groups))
    if cross_validated is None:
        return common[list(choose(common, truth_px, groups))].mean(axis=0)
    return cross_validated


def _parameters(experiment: Experiment, specialist: str) -> int:
    points = len(experiment.point_indices(specialist))
    return build_model(experiment.network, points, (0,)).count_params()
