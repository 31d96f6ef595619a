"""The story of fkd, top to bottom: data, train, status, select, submit, score; one short function a verb.

What needs Keras is imported where it is used, so that the other verbs answer at once.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from fkd.data.faces import FaceData
from fkd.data.source import load_data, name_data
from fkd.data.summary import summarise
from fkd.ensemble import SelectionReport, selection_report
from fkd.errors import UserError
from fkd.experiment import Experiment, load_experiment
from fkd.progress import Progress
from fkd.provenance import provenance
from fkd.report.faces import faces_png
from fkd.report.tables import estimates_table, score_table, selection_table, status_table
from fkd.specialists import finished_members, make_splits, read_split
from fkd.status import run_status
from fkd.store import DEFAULT_STORE, Run, atomic_write_bytes, atomic_write_json, open_run
from fkd.submission import (
    read_features,
    read_solution,
    read_submission,
    score,
    submission_table,
    total_rmse_px,
    write_submission,
)

_FACES_SHOWN = 16


@dataclass(frozen=True)
class Request:
    """What a verb works on.

    experiment: a file's name, None for the data set's usual one. data: `auto`, `kaggle`, `synthetic` or a
    folder. settings: `key=value` put over the experiment file.
    """

    experiment: str | None = None
    data: str = "auto"
    settings: tuple[str, ...] = ()
    store: Path = DEFAULT_STORE

    def resolve(self, data_name: str) -> tuple[Experiment, Run]:
        """The experiment, and where its run on this data set stands or will stand."""
        usual = "quick" if data_name == "synthetic" else "ensemble"
        experiment = load_experiment(self.experiment or usual, self.settings)
        return experiment, Run(self.store / f"{experiment.name}-{data_name}")


def data(request: Request, console: Console) -> None:
    """Read (download, generate) the data and say what is in it."""
    for line in summarise(load_data(request.data, console.print)):
        console.print(line)


def train(request: Request, console: Console, fresh: bool = False, tensorboard: bool = False) -> None:
    """Train all members of all specialists, going on where a former call stopped."""
    faces = load_data(request.data, console.print)
    experiment, run = request.resolve(faces.name)
    open_run(run, experiment, provenance(faces), fresh)
    splits = make_splits(run, experiment, faces)
    waiting = [member for member in experiment.members if not run.member(*member).done.exists()]
    if not waiting:
        console.print(f"{run.path}: nothing to train, all {len(experiment.members)} members are done")
        return

    from fkd.device import require_visible_gpu
    from fkd.train import MemberTask, train_member

    console.print(
        f"{run.path}: training {len(waiting)} of {len(experiment.members)} members on {require_visible_gpu()}"
    )
    images_per_epoch = {specialist: len(split.training) for specialist, split in splits.items()}
    progress = Progress(
        run_status(run, experiment), images_per_epoch, experiment.training.max_epochs, console
    )
    rows = {
        specialist: (faces.training.take(split.training), faces.training.take(split.validation))
        for specialist, split in splits.items()
    }
    with progress.shown():
        for specialist, index in waiting:
            task = MemberTask(experiment, specialist, index, *rows[specialist])
            train_member(task, run.member(specialist, index), progress, tensorboard)


def status(request: Request, console: Console) -> None:
    """Show where the members stand; of every run in the store if no experiment is named."""
    if request.experiment:
        runs = [request.resolve(name_data(request.data))[1]]
    else:
        runs = [Run(file.parent) for file in sorted(request.store.glob("*/experiment.yaml"))]
    if not runs:
        raise UserError(f"{request.store}: no runs yet; start one with fkd train")
    for run in runs:
        console.print(status_table(run.name, run_status(run, run.read_experiment())))


def select(request: Request, console: Console) -> None:
    """Choose the members that validate well; reads saved predictions and loads no network."""
    _select(request, load_data(request.data, console.print), console)


def submit(request: Request, console: Console) -> None:
    """Select, average the chosen on the test images, write the CSV; score it where labels are known."""
    faces = load_data(request.data, console.print)
    run, experiment, reports = _select(request, faces, console)

    from fkd.device import require_visible_gpu
    from fkd.predict import predict_ensemble

    console.print(f"Predicting {len(faces.test.ids):,} test images on {require_visible_gpu()}")
    chosen = {report.specialist: report.chosen for report in reports}
    predictions = predict_ensemble(run, experiment, chosen, faces.test.images)
    table = submission_table(faces.lookup, faces.test.ids, predictions, experiment.schema_points)
    if kept := write_submission(table, run.submission):
        console.print(f"{kept}: the former submission, kept")
    shown = slice(_FACES_SHOWN)
    atomic_write_bytes(run.predictions_figure, faces_png(faces.test.images[shown], predictions[shown]))
    console.print(f"{run.predictions_figure}: test faces with their predicted points")
    console.print(f"{run.submission}: {len(table):,} rows")
    if faces.solution is not None:
        mean_shape = np.broadcast_to(np.nanmean(faces.training.keypoints, axis=0), predictions.shape)
        mean_table = submission_table(faces.lookup, faces.test.ids, mean_shape, experiment.schema_points)
        console.print(
            f"Score: {total_rmse_px(table, faces.solution):.3f} px RMSE against the hidden labels; "
            f"always answering the mean shape gives {total_rmse_px(mean_table, faces.solution):.3f} px"
        )


def score_files(submission: Path, solution: Path, console: Console) -> None:
    """Print the RMSE of a submission; features come from the solution or the lookup table beside it."""
    lookup = solution.with_name("IdLookupTable.csv")
    features = read_features(lookup) if lookup.is_file() else None
    console.print(score_table(score(read_submission(submission), read_solution(solution), features)))


def _select(
    request: Request, faces: FaceData, console: Console
) -> tuple[Run, Experiment, list[SelectionReport]]:
    """The run, its experiment with the selection asked for now, and every specialist's choice."""
    asked_for, run = request.resolve(faces.name)
    experiment = run.read_experiment().model_copy(update={"selection": asked_for.selection})
    reports = []
    for specialist, settings in experiment.specialists.items():
        members, left_out = finished_members(run, experiment, specialist)
        for line in left_out:
            console.print(line)
        if not members:
            raise UserError(f"{run.path}: no finished member of {specialist}; go on with fkd train")
        split = read_split(run, specialist)
        truth = faces.training.keypoints[split.validation][
            :, experiment.schema_points.indices(settings.keypoints)
        ]
        predictions = np.stack([np.load(run.member(specialist, i).validation) for i in members])
        reports.append(
            selection_report(
                predictions, truth, split.validation_groups, experiment.selection, specialist, members
            )
        )
        console.print(selection_table(reports[-1]))
    console.print(estimates_table(reports))
    atomic_write_json(run.selection, [asdict(report) for report in reports])
    return run, experiment, reports
