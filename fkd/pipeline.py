"""The story of fkd, top to bottom: data, explore, train, status, select, submit, report, compare.

One short function a verb; what is slow to load is imported where it is used.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rich.console import Console

from fkd.core.errors import UserError
from fkd.core.files import atomic_write_bytes
from fkd.core.interrupt import StopRequest
from fkd.core.keypoints import schema_of
from fkd.data.faces import FaceData
from fkd.data.source import load_data, name_data
from fkd.data.summary import summarise
from fkd.ensemble.distillation import distilled_splits, find_distilled_run
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run, is_done, open_run, runs_in, write_experiment
from fkd.report.figures.faces import faces_png
from fkd.report.tables import estimates_table, radii_table, score_table, selection_table, status_table
from fkd.runs.engines.engine import HERE, Engine, claim_devices, opened
from fkd.runs.job import Job
from fkd.runs.progress import Progress
from fkd.runs.provenance import provenance
from fkd.runs.remote.session import remote_session
from fkd.runs.request import Request, make_room
from fkd.runs.search.space import read_space
from fkd.runs.search.trials import SearchPlan, draw_trials, specialist_to_search, write_results
from fkd.runs.splits import check_labels
from fkd.runs.status import run_status

if TYPE_CHECKING:
    from fkd.ensemble.choice import Choice
    from fkd.ensemble.validation import Validation
    from fkd.runs.remote.remote_store import RemoteStore


def data(request: Request, console: Console) -> None:
    """Read (download, generate) the data and say what is in it."""
    console.print(*summarise(load_data(request.data, console.print)), sep="\n")
    words = request.make_words
    console.print(
        f"Next: make explore{words} shows them on a page, make train-ensemble{words} learns from them"
    )


def train(
    request: Request,
    console: Console,
    stop: StopRequest,
    *,
    fresh: bool = False,
    tensorboard: bool = False,
    ec2_notice: bool = False,
    engine: Engine = HERE,
) -> None:
    """Train all members of all specialists, resuming where a former call stopped.

    fresh: a former run is moved aside first. ec2_notice: stop when EC2 announces that it takes the machine
    away. Raises UserError, and InterruptedTrainingError, after all is saved, when a stop is asked for.
    """
    experiment, run = request.resolve()
    faces = load_data(request.data, console.print, experiment.schema_points)
    verb = "select" if faces.lookup.empty else "submit"
    if fresh or not run.experiment.exists():
        check_labels(experiment, faces)  # before anything is moved or written
    if fresh:
        make_room(request, run, console.print)
    with _remote(request, run, console) as remote:
        if not run.experiment.exists():
            from fkd.training.callbacks import try_callbacks
            from fkd.training.networks.build import try_network

            claim_devices(engine, experiment.resources)
            try_network(experiment.network)  # before anything is written
            try_callbacks(experiment)
            find_distilled_run(run, experiment, faces)
        open_run(run, experiment, provenance(faces), console.print)
        splits = distilled_splits(run, experiment, faces, console.print)
        if remote:
            remote.push(run)
        unfinished = [member for member in experiment.members if not is_done(run.member(*member))]
        if not unfinished:
            _bring_together(run, experiment, remote)
            console.print(f"{run.path}: nothing to train, all {len(experiment.members)} members are done")
            console.print(f"Next: make {verb}{request.make_words}")
            return
        from fkd.runs.spot import watch_ec2  # loads what speaks HTTP

        job = Job(
            run=run,
            experiment=experiment,
            faces=faces.training,
            splits=splits,
            test=faces.test,
            store_url=request.store_url,
            tensorboard=tensorboard,
            members_at_once=engine.members_at_once,
        )
        progress = Progress(run_status(run, experiment), job.images_per_epoch, job.max_epochs, console)
        with opened(engine, experiment) as (where, train_members):
            console.print(f"{run.path}: training {len(unfinished)} of {len(job.members)} members on {where}")
            with progress.shown(), watch_ec2(stop, progress.say) if ec2_notice else nullcontext():
                train_members(job, progress, stop, remote)
        console.print(f"{run.path}: all are done; next: make {verb}{request.make_words}")


def status(request: Request, console: Console) -> None:
    """Show where the members stand; of every run in the store if no experiment is named.

    Raises UserError, after the others are shown, where a run cannot be read.
    """
    runs = [request.resolve()[1]] if request.experiment else runs_in(request.store_folder)
    if not runs:
        console.print(
            f"{request.store_folder}: no runs yet; start one with make train-ensemble, or fkd train"
        )
    damaged = 0
    for run in runs:
        try:
            console.print(status_table(run.name, run_status(run, run.read_experiment())))
        except UserError as error:
            if request.experiment:
                raise
            damaged += 1
            console.print(error)
    if damaged:
        raise UserError(f"{damaged} of {len(runs)} runs cannot be read, as reported above")


def select(request: Request, console: Console) -> None:
    """Choose the members that validate well; reads saved predictions and loads no network."""
    choice = _select(request, console)
    verb = "report" if choice.faces.lookup.empty else "submit"
    console.print(f"{choice.run.path}: members are chosen; next: make {verb}{request.make_words}")


def submit(request: Request, console: Console, to_kaggle: str | None = None) -> None:
    """Select, predict the test images, write the CSV, score it; `to_kaggle`: a message to upload it with."""
    from fkd.ensemble.kaggle_upload import require_kaggle, submit_to_kaggle

    if to_kaggle is not None:
        require_kaggle(name_data(request.data))
    choice = _select(request, console)
    run, experiment, faces = choice.run, choice.experiment, choice.faces
    if faces.lookup.empty:
        raise UserError(
            f"{faces.name}: expected a lookup table of values to submit, received a data set without one; "
            "fkd select says how the members validate"
        )

    from fkd.ensemble.predict import predict_test_images
    from fkd.ensemble.submission import score_sentence, submission_table, write_submission
    from fkd.training.device import require_visible_gpu

    console.print(f"Predicting {len(faces.test.ids):,} test images on {require_visible_gpu()}")
    predictions = predict_test_images(choice)
    table = submission_table(faces.lookup, faces.test.ids, predictions, experiment.schema_points)
    if kept := write_submission(table, run.submission):
        console.print(f"{kept}: the former submission, kept")
    atomic_write_bytes(run.predictions_figure, faces_png(faces.test.images[:16], predictions[:16]))
    console.print(f"{run.predictions_figure}: test faces with their predicted points")
    console.print(f"{run.submission}: {len(table):,} rows")
    if faces.solution is not None:
        console.print(score_sentence(table, faces, experiment.schema_points))
    _write_report(run, faces, console, predictions, choice.validations)
    if to_kaggle is not None:
        submit_to_kaggle(run, to_kaggle, console.print)
        _write_report(run, faces, console, predictions, choice.validations)
    elif faces.solution is None:
        console.print(f'Next: make submit{request.make_words} KAGGLE="what this is"')
    else:
        console.print("Next: make demo, a page to drop a photo on; fkd predict for photos and films")


def score_files(submission: Path, solution: Path, console: Console) -> None:
    """Print the RMSE of a submission; features come from the solution or the lookup table beside it."""
    from fkd.ensemble.submission import read_features, read_solution, read_submission, score

    lookup = solution.with_name("IdLookupTable.csv")
    features = read_features(lookup) if lookup.is_file() else None
    console.print(score_table(score(read_submission(submission), read_solution(solution), features)))


def explore(request: Request, console: Console, path: Path | None) -> None:
    """Write what the data look like, and what an experiment's random changes do to them, as a page."""
    from fkd.report.figures.data_figures import data_section  # loads matplotlib
    from fkd.report.page import page_html

    experiment = load_experiment(request.experiment, request.settings) if request.experiment else None
    faces = load_data(request.data, console.print, experiment.schema_points if experiment else None)
    sections = [data_section(faces, schema_of(faces.point_names))]
    if experiment:
        from fkd.report.figures.augmentation_figures import augmentation_section  # loads matplotlib

        sections.append(augmentation_section(faces, experiment))
    path = path or Path(f"explore-{faces.name}.html")
    atomic_write_bytes(path, page_html(f"The faces of {faces.name}", sections).encode())
    console.print(f"{path}: figures of the data; open it in a browser")
    console.print(f"Next: make train-ensemble{request.make_words}")


def predict(
    paths: Sequence[Path],
    run_name: str | None,
    store: Path,
    output: Path,
    yunet: Path | None,
    console: Console,
) -> None:
    """Find the faces of photos and films and write their points: pictures, films, JSON and CSV."""
    from fkd.deploy.films import predict_films
    from fkd.deploy.photos import list_photos, predict_photos
    from fkd.ensemble.ensemble import find_run, load_ensemble

    ensemble = load_ensemble(find_run(store, run_name), console.print)
    photos, films = list_photos(paths, output)
    failed = predict_films(ensemble, films, output, console.print, yunet)
    if photos or not films:
        failed += predict_photos(ensemble, photos, output, console.print, yunet)
    if failed:
        raise UserError(f"{failed} of {len(photos + films)} files failed, as told above; the others are done")


def demo(
    store: Path, run_name: str | None, host: str, port: int, console: Console, data: str | None = None
) -> None:
    """Show the page on which photos are dropped until it is stopped; it keeps none of them.

    data: those that the run was trained on, whose labels can then be reviewed on the page.
    """
    from fkd.deploy.demo import serve
    from fkd.deploy.review_page import open_review
    from fkd.ensemble.ensemble import find_run

    review = None
    if data is not None:
        run = find_run(store, run_name)
        faces = load_data(data, console.print, run.read_experiment().schema_points)
        review = open_review(run, faces, None, console.print, host)
    serve(store, run_name, host, port, console.print, review)


def review(request: Request, console: Console, path: Path | None, port: int) -> None:
    """Show the labels that look wrong, worst first, until it is stopped; decisions go into a CSV at once."""
    from fkd.deploy.review_page import open_review, serve_review

    asked_for, run = request.resolve()
    faces = load_data(request.data, console.print, asked_for.schema_points)
    with _remote(request, run, console) as remote:
        _bring_together(run, run.read_experiment(), remote)
    serve_review(open_review(run, faces, path, console.print), port, request.make_words, console.print)


def export(request: Request, console: Console, folder: Path, formats: Sequence[str]) -> None:
    """Write the chosen ensemble as one model that needs no fkd, and a card, into a new folder."""
    choice = _select(request, console)
    from fkd.deploy.export import export_ensemble
    from fkd.training.device import require_visible_gpu

    require_visible_gpu()
    export_ensemble(
        choice.run, choice.experiment, choice.without_source, choice.faces, folder, formats, console.print
    )


def report(request: Request, console: Console) -> None:
    """Write a run's page of figures; an unfinished run gets the parts that exist. Loads no network."""
    asked_for, run = request.resolve()
    with _remote(request, run, console) as remote:
        _bring_together(run, run.read_experiment(), remote)
    _write_report(run, load_data(request.data, console.print, asked_for.schema_points), console)


def tune(
    request: Request, console: Console, stop: StopRequest, plan: SearchPlan, address: str | None
) -> None:
    """Search for better settings of an experiment on a Ray cluster; the best become an experiment file."""
    experiment, name = request.resolve()[0], request.experiment_name
    specialist = specialist_to_search(experiment, plan.specialist)
    trials = draw_trials(name, request.settings, specialist, read_space(plan.space), plan.trials)
    faces = load_data(request.data, console.print, experiment.schema_points)
    from fkd.runs.engines.ray_tasks import describe_cluster, ray_cluster  # loads Keras

    folder, url = request.store_folder / "tune", request.store_url and f"{request.store_url}/tune"
    with ray_cluster(address):
        from fkd.runs.search.search import search  # loads Ray Tune

        console.print(f"{len(trials)} trials of {name}, {specialist}, on {describe_cluster()}")
        outcomes = search(
            trials, faces, specialist, plan.first_epochs, folder, url, distilled_splits, console.print, stop
        )
    table, file = write_results(outcomes, name, plan, folder, faces.name)
    console.print(f"{table}: all trials\n{file}: the best; train it with: fkd train {file}")


def compare(
    file: Path,
    store: Path | None,
    console: Console,
    stop: StopRequest | None,
    only: Sequence[str] = (),
    engine: Engine = HERE,
) -> None:
    """Systems side by side, from stored runs; where `stop` is given, those not finished are trained first.

    store: None for the file's. only: experiments to train, none for all. The tables go into the Markdown and
    the CSV of the same name beside the file. A table whose data are not at hand keeps its former figures.
    """
    from fkd.report.comparison import compare_table, unmeasured_table
    from fkd.report.comparison_curves import learning_curves, write_curves
    from fkd.report.comparison_file import load_comparison
    from fkd.report.comparison_tables import write_tables

    comparison = load_comparison(file, only)
    if only and not stop:
        raise UserError(f"{', '.join(only)}: experiments are named to be trained; add --train")
    if stop:
        wanted = comparison.to_train(store, only)
        for number, request in enumerate(wanted, start=1):
            console.print(f"Run {number} of {len(wanted)}: {request.experiment}")
            try:
                train(request, console, stop, engine=engine)
            except UserError as error:
                console.print(f"{request.experiment}: {error}; its rows stay empty")
    tables, curves, command = {}, {}, f"fkd compare --train --file {file}"
    for table, requests in comparison.requests(store).items():
        schema = load_experiment(table.rows[0].experiment, requests[table.rows[0]].settings).schema_points
        try:
            faces = load_data(table.data, console.print, schema)
        except UserError as error:
            console.print(f"{table.title}: its data cannot be read: {error}")
            tables[table.title] = unmeasured_table(table, command)
            continue
        runs = {row: request.resolve() for row, request in requests.items()}
        tables[table.title] = compare_table(table, runs, faces, command)
        curves[table.title] = learning_curves(runs)
    write_tables(file, tables, console.print)
    write_curves(file, comparison, curves, console.print)


def _write_report(
    run: Run,
    faces: FaceData,
    console: Console,
    predictions_px: npt.NDArray[np.floating] | None = None,
    validations: "Mapping[str, Validation] | None" = None,
) -> None:
    from fkd.report.run_page import write_report  # loads matplotlib

    write_report(run, faces, predictions_px, validations)
    console.print(f"{run.report}: the report; open it in a browser")


def _select(request: Request, console: Console) -> "Choice":
    """Choose, with what may be asked for now put over the run's experiment; keep the choice in the run."""
    from fkd.ensemble.choice import choose_members
    from fkd.ensemble.label_outliers import list_label_outliers
    from fkd.ensemble.radii_file import write_radii
    from fkd.ensemble.selection_file import write_selection

    asked_for, run = request.resolve()
    faces = load_data(request.data, console.print, asked_for.schema_points)
    with _remote(request, run, console) as remote:
        _bring_together(run, run.read_experiment(), remote)
    asked_now = {"selection": asked_for.selection, "prediction": asked_for.prediction}
    experiment = run.read_experiment().model_copy(update=asked_now)
    run.read_provenance()  # a damaged one is refused before anything is written
    choice = choose_members(run, experiment, faces, console.print)
    radii = radii_table(choice.validations.values(), experiment.prediction.coverage)
    estimates = estimates_table(choice.reports, choice.together)
    for table in (*map(selection_table, choice.reports), estimates, radii):
        console.print(table)
    write_experiment(run, experiment)  # so that report, photos and page do as was asked for here
    write_selection(run, choice.reports)
    write_radii(run, choice.validations, choice.without_source)
    outliers = list_label_outliers(run, choice.validations, faces, choice.by_source)
    console.print(
        f"{run.label_outliers}: {outliers:,} label outliers, far from the predictions; make review shows them"
    )
    return choice


def _bring_together(run: Run, experiment: Experiment, remote: "RemoteStore | None") -> None:
    """Fetch what a remote store has of the members, and send it what it lacks."""
    if remote:
        for member in experiment.members:
            remote.pull_member(run.member(*member))


def _remote(request: Request, run: Run, console: Console) -> AbstractContextManager["RemoteStore | None"]:
    return remote_session(request.store_url, request.store_folder, run, console.print)
