"""Systems side by side: trained on one budget, scored on the same validation rows.

A comparison is a YAML file: the budget that is put over every experiment, and tables of rows. Its figures
come from stored runs; one that is not finished leaves its row empty.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from fkd.core.errors import UserError
from fkd.core.keypoints import COMPETITION_COUNTS, IMAGE_SIZE_PX
from fkd.core.metrics import rmse_px, weighted_rmse_px
from fkd.data.faces import FaceData
from fkd.ensemble.folds import halves
from fkd.ensemble.predict import predict_ensemble
from fkd.ensemble.selection import cross_validated_average, select_members
from fkd.ensemble.validation import Validation, read_validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Prediction, Selection
from fkd.experiment.settings import Settings, read_settings, validated
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import DEFAULT_STORE, HistoryColumn, Run, read_history, trained_otherwise
from fkd.runs.request import Request
from fkd.runs.status import finished_members
from fkd.training.networks.build import build_model

Array = npt.NDArray[np.floating]
Histories = Mapping[MemberId, Sequence[Mapping[str, float]]]
Measure = Literal[
    "rmse_px",
    "behind_first_px",
    "competition_px",
    "alone_rmse_px",
    "alone_spread_px",
    "mae_px",
    "mae_sum",
    "loss",
    "validation_loss",
    "minutes",
]

_HEADINGS: dict[Measure, str] = {
    "rmse_px": "validation RMSE px",
    "behind_first_px": "behind the first row",
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


class Row(Settings):
    """One line of a table: a system, the experiment that trains it and how its members are used.

    specialists: those that the row is about, all where none is named. members: how they are put together;
    all are averaged where the row has a `prediction` of its own.
    settings: put over the experiment beside the budget. published: its figures elsewhere. remark: what
    follows from the row, in words.
    """

    system: str
    experiment: str
    specialists: tuple[str, ...] = ()
    members: Literal["best", "all", "chosen"] = "best"
    prediction: Prediction = Prediction()
    settings: tuple[str, ...] = ()
    published: str = ""
    remark: str = ""

    def part_of(self, experiment: Experiment) -> Experiment:
        """The experiment with the row's specialists alone; raises UserError where it lacks one of them."""
        if lacking := [name for name in self.specialists if name not in experiment.specialists]:
            raise UserError(
                f"{self.system}: expected specialists of {experiment.name} "
                f"({', '.join(experiment.specialists)}), received {lacking[0]}"
            )
        named = self.specialists or tuple(experiment.specialists)
        return experiment.model_copy(
            update={"specialists": {name: experiment.specialists[name] for name in named}}
        )


class Table(Settings):
    """Systems that learn from the same data."""

    title: str
    data: str
    measures: tuple[Measure, ...] = ("rmse_px",)
    rows: tuple[Row, ...] = Field(min_length=1)


class Comparison(Settings):
    """What `fkd compare` trains and shows; `budget` is put over every experiment, `store` keeps its runs."""

    budget: tuple[str, ...] = ()
    store: str = f"{DEFAULT_STORE}/comparison"
    tables: tuple[Table, ...]

    def requests(self, store: Path | None) -> list[dict[Row, Request]]:
        """What each row's run is asked for with, by table; store: None for the file's."""
        return [
            {
                row: Request(
                    row.experiment, table.data, (*self.budget, *row.settings), str(store or self.store)
                )
                for row in table.rows
            }
            for table in self.tables
        ]


def load_comparison(path: Path, only: Sequence[str] = ()) -> Comparison:
    """Read a comparison file of which the experiments `only` are wanted.

    Raises UserError, naming the file and the setting, where it is wrong, and where it lacks one of `only`.
    """
    comparison = validated(Comparison, read_settings(path), str(path))
    names = {row.experiment for table in comparison.tables for row in table.rows}
    if missing := sorted(set(only) - names):
        raise UserError(
            f"{path}: expected experiments among its rows, received {', '.join(missing)}; "
            f"it has {', '.join(sorted(names))}"
        )
    return comparison


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
    finished = {row: (row.part_of(runs[row][0]), runs[row][1]) for row in histories}
    validations = {row: _read_validations(*run, faces) for row, run in finished.items()}
    rows = _common_validation_rows(table.title, list(validations.values()))
    measures = {
        row: _measure(row, run, histories[row], validations[row], faces, rows)
        for row, (_, run) in finished.items()
    }
    first_px = measures[table.rows[0]]["rmse_px"] if table.rows[0] in measures else np.nan
    lines = []
    for row in table.rows:
        line: dict[str, Any] = {"system": row.system}
        if row in finished:
            line |= _costs(finished[row][0], histories[row]) | _made_by(*finished[row])
            found = measures[row] | {"behind_first_px": measures[row]["rmse_px"] - first_px}
            line |= {_HEADINGS[name]: found[name] for name in table.measures}
        checksum = _checksum(row, row.part_of(runs[row][0]), faces)
        lines.append(line | _words(row, command) | {"checksum": checksum})
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


def _measure(
    row: Row,
    run: Run,
    histories: Histories,
    validations: Mapping[str, Validation],
    faces: FaceData,
    rows: npt.NDArray[np.int64],
) -> dict[Measure, float]:
    """All measures of a system on these rows of the training faces, over all points that it predicts."""
    predictions, truth = [], []
    names = [faces.point_names[point] for one in validations.values() for point in one.points]
    for validation in validations.values():
        truth.append(faces.training.keypoints[rows][:, validation.points])
        predictions.append(_predict(row, run, validation, faces, rows, truth[-1]))
    predicted_px, truth_px = np.concatenate(predictions, axis=1), np.concatenate(truth, axis=1)
    errors_px = np.abs(predicted_px - truth_px)
    best = [
        min(history, key=lambda record: record[HistoryColumn.VALIDATION_RMSE_PX])
        for history in histories.values()
    ]
    alone_px = _alone_px(validations, rows, truth_px)
    # At the pace of the fastest epoch, which other work disturbed least.
    seconds = [
        len(history) * min(record.get(HistoryColumn.SECONDS, np.nan) for record in history)
        for history in histories.values()
    ]
    return {
        "rmse_px": rmse_px(predicted_px, truth_px),
        "competition_px": _competition_px(predicted_px, truth_px, names),
        "alone_rmse_px": float(np.mean(alone_px)),
        "alone_spread_px": float(np.std(alone_px, ddof=1)) if len(alone_px) > 1 else np.nan,
        "mae_px": float(np.nanmean(errors_px)),
        # The other published definition: coordinates from 0 to 1, summed over the points of a face.
        "mae_sum": float(np.nansum(errors_px, axis=(1, 2)).mean()) / IMAGE_SIZE_PX,
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
