"""The command `fkd`: arguments and nothing else."""

import gc
import io
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fkd import __version__
from fkd.arguments import (
    STORE,
    Address,
    Data,
    Detector,
    EngineName,
    ExperimentName,
    ModelFormat,
    Port,
    RunName,
    Settings,
    SpotNotice,
    Store,
    StoreFolder,
)
from fkd.core.errors import UserError, one_line
from fkd.core.interrupt import EXIT_INTERRUPTED, InterruptedTrainingError, end_on_sigint, stop_on_signals

if TYPE_CHECKING:
    from rich.console import Console

    from fkd.pipeline import Request

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


_OBJECTS_BEFORE_COLLECTION = 50_000


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"fkd {__version__}")
        raise typer.Exit


@app.callback()
def _before_any_verb(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show fkd's version")
    ] = False,
) -> None:
    """Ensembles of small networks that find the keypoints of a face."""
    from fkd.core.backend import require_backend

    require_backend()


@app.command()
def data(data: Data = "auto") -> None:
    """Read, download or generate the data and say what is in it."""
    from fkd import pipeline

    pipeline.data(_request(None, data, None, STORE), _console())


@app.command()
def explore(
    experiment: Annotated[str | None, typer.Argument(help="Show this experiment's augmentation too")] = None,
    data: Data = "auto",
    set_: Settings = None,
    output: Annotated[
        Path | None, typer.Option(help="The page [default: explore-<data>.html]", show_default=False)
    ] = None,
) -> None:
    """Write a page of the data: missing labels, faces, near-duplicates; needs no training."""
    from fkd import pipeline

    pipeline.explore(_request(experiment, data, set_, STORE), _console(), output)


@app.command()
def train(
    experiment: ExperimentName = None,
    data: Data = "auto",
    set_: Settings = None,
    store: Store = STORE,
    fresh: Annotated[bool, typer.Option("--fresh", help="Move a former run aside and start anew")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard logs")] = False,
    spot_notice: Annotated[
        SpotNotice | None, typer.Option("--spot-notice", help="Ask this cloud for its two minutes' notice")
    ] = None,
    at_once: Annotated[
        int, typer.Option(min=1, max=1000, help="Members to train in one step, for a GPU")
    ] = 1,
    engine: Annotated[
        EngineName, typer.Option(help="Train on this machine, or a member a task on a Ray cluster")
    ] = EngineName.LOCAL,
    jobs: Annotated[
        int, typer.Option(min=1, max=1024, help="Members to train side by side, in processes of this machine")
    ] = 1,
    address: Address = None,
) -> None:
    """Train every member of every specialist; resume where it stopped.

    Interrupted by SIGTERM, SIGINT or a spot notice, it saves and exits with status 75; the same command
    resumes.
    """
    from fkd import pipeline
    from fkd.runs.engines.engine import Engine

    with stop_on_signals() as stop:
        try:
            pipeline.train(
                _request(experiment, data, set_, store),
                _console(),
                stop,
                fresh=fresh,
                tensorboard=tensorboard,
                ec2_notice=bool(spot_notice),
                engine=Engine(engine.value, jobs, at_once, address),
            )
        except InterruptedTrainingError as error:
            without = ", but without --fresh (make: FRESH=1), which would begin anew" if fresh else ""
            raise InterruptedTrainingError(f"{error}{without}") from error


@app.command()
def status(experiment: ExperimentName = None, data: Data = "auto", store: Store = STORE) -> None:
    """Show where a run's members stand, or those of every run."""
    from fkd import pipeline

    pipeline.status(_request(experiment, data, None, store), _console())


@app.command()
def select(
    experiment: ExperimentName = None,
    data: Data = "auto",
    set_: Settings = None,
    store: Store = STORE,
) -> None:
    """Choose the members that validate well and say what that is worth."""
    from fkd import pipeline

    pipeline.select(_request(experiment, data, set_, store), _console())


@app.command()
def submit(
    experiment: ExperimentName = None,
    data: Data = "auto",
    set_: Settings = None,
    store: Store = STORE,
    detector: Annotated[
        Detector | None, typer.Option(help="Predict inside the face that this detector finds")
    ] = None,
    to_kaggle: Annotated[
        str | None,
        typer.Option(metavar="MESSAGE", help="Upload the CSV with this message; wait for scores"),
    ] = None,
) -> None:
    """Select, average, and write the submission CSV."""
    from fkd import pipeline

    settings = [*(set_ or ()), *([f"prediction.detector={detector}"] if detector else [])]
    pipeline.submit(_request(experiment, data, settings, store), _console(), to_kaggle)


@app.command()
def predict(
    photos: Annotated[
        list[Path],
        typer.Argument(help="Photos (JPEG, PNG, WebP, BMP, TIFF, GIF), films (MP4 and others), or folders"),
    ],
    run: RunName = None,
    store: StoreFolder = Path(STORE),
    output: Annotated[Path, typer.Option(help="Folder for the results")] = Path("photo-points"),
    yunet: Annotated[
        Path | None, typer.Option(metavar="MODEL.onnx", help="Find faces by this YuNet model, not by Haar")
    ] = None,
) -> None:
    """Find the faces of photos and their points: NAME-points.jpg or .png, points.json, points.csv.

    A film becomes NAME-points.mp4, drawn steadily, and NAME-points.csv by frame. What shows no face or cannot
    be read is reported, the others are done; the status is 1 at the end if any could not be read. If no photo
    could, nothing is written.
    """
    from fkd import pipeline

    pipeline.predict(photos, run, store, output, yunet, _console())


@app.command()
def demo(
    run: RunName = None,
    store: StoreFolder = Path(STORE),
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 shows the page to the network")
    ] = "127.0.0.1",
    port: Port = 7860,
    data: Annotated[
        str | None, typer.Option(help="The run's data: review their labels, too", show_default=False)
    ] = None,
) -> None:
    """Show a page: drop a photo or use the webcam, see the points of its faces; keeps nothing."""
    from fkd import pipeline

    pipeline.demo(store, run, host, port, _console(), data)


@app.command()
def review(
    experiment: ExperimentName = None,
    data: Data = "auto",
    set_: Settings = None,
    store: Store = STORE,
    output: Annotated[
        Path | None,
        typer.Option(help="The CSV of decisions [default: reviewed-<data>.csv]", show_default=False),
    ] = None,
    port: Port = 7861,
) -> None:
    """Show labels that look wrong, the worst first: keep, drop or move each, by mouse or keyboard.

    Each decision is written at once; the same command goes on. Experiments learn from them by the setting
    reviewed_labels.
    """
    from fkd import pipeline

    pipeline.review(_request(experiment, data, set_, store), _console(), output, port)


@app.command()
def export(
    to: Annotated[Path, typer.Option("--to", help="New folder for the model and its card")],
    experiment: ExperimentName = None,
    data: Data = "auto",
    set_: Settings = None,
    store: Store = STORE,
    format_: Annotated[
        list[ModelFormat] | None, typer.Option("--format", help="May be given many times [default: keras]")
    ] = None,
) -> None:
    """Write the chosen ensemble as one model that needs no fkd, with a model card."""
    from fkd import pipeline

    formats = format_ or [ModelFormat.KERAS]
    pipeline.export(_request(experiment, data, set_, store), _console(), to, formats)


@app.command()
def report(
    experiment: ExperimentName = None,
    data: Data = "auto",
    set_: Settings = None,
    store: Store = STORE,
) -> None:
    """Write a run's page of figures; an unfinished run gets the parts that exist."""
    from fkd import pipeline

    pipeline.report(_request(experiment, data, set_, store), _console())


@app.command()
def score(
    submission: Annotated[Path, typer.Argument(help="CSV with RowId,Location")],
    solution: Annotated[
        Path, typer.Argument(help="CSV with RowId,Location and, if known, Usage and FeatureName")
    ],
) -> None:
    """Print the RMSE of a submission against a solution: over all, by Usage and by feature."""
    from fkd import pipeline

    pipeline.score_files(submission, solution, _console())


@app.command()
def compare(
    only: Annotated[list[str] | None, typer.Argument(help="Experiments to train [default: all]")] = None,
    train: Annotated[bool, typer.Option("--train", help="Train what is missing, resumable")] = False,
    file: Annotated[Path, typer.Option(help="The comparison")] = Path(
        "experiments/comparisons/comparison.yaml"
    ),
    store: Annotated[
        Path | None, typer.Option(help="Folder that keeps its runs [default: the file's]", show_default=False)
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=1024, help="Members to train side by side")] = 1,
) -> None:
    """Put systems side by side from their stored runs, into the Markdown beside the file."""
    from fkd import pipeline
    from fkd.runs.engines.engine import Engine

    with stop_on_signals() if train else nullcontext() as stop:
        pipeline.compare(file, store, _console(), stop, only or (), Engine(processes=jobs))


@app.command()
def tune(
    experiment: Annotated[str, typer.Argument(help="Name of a file in experiments/, or its path")],
    space: Annotated[Path, typer.Option(help="YAML file: settings and the values that they may have")],
    trials: Annotated[int, typer.Option(min=1, max=10_000, help="How many are drawn")] = 20,
    first_epochs: Annotated[int, typer.Option(min=1, max=1_000_000, help="Before these no trial ends")] = 5,
    specialist: Annotated[
        str | None, typer.Option(help="Whose error counts [default: the only one]", show_default=False)
    ] = None,
    data: Data = "auto",
    set_: Settings = None,
    store: Store = STORE,
    address: Address = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The best, as an experiment [default: experiments/<experiment>-<space>.yaml]"),
    ] = None,
) -> None:
    """Search for better settings of an experiment with Ray Tune; the same command resumes it.

    Trials that lag behind end early (ASHA); validation RMSE decides.
    """
    from fkd import pipeline
    from fkd.runs.search.trials import SearchPlan

    with stop_on_signals() as stop:
        pipeline.tune(
            _request(experiment, data, set_, store),
            _console(),
            stop,
            SearchPlan(space, trials, first_epochs, specialist, output),
            address,
        )


def main() -> None:
    """Run the command; a user's mistake, a full disk or a missing right becomes one line and status 1."""
    for stream in (sys.stdout, sys.stderr):  # a name they cannot show is not to end the work
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    end_on_sigint()
    # Imports make many objects and little garbage: looking for it would take a tenth of the start.
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
    try:
        app()
    except InterruptedTrainingError as error:
        print(f"fkd: {error}", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.exit(1)  # nobody reads any more
    except UserError as error:
        print(f"fkd: {one_line(error)}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"fkd: {problem}; fix this and try again", file=sys.stderr)
        sys.exit(1)


def _request(experiment: str | None, data: str, settings: list[str] | None, store: str) -> "Request":
    from fkd.pipeline import Request

    return Request(experiment, data, tuple(settings or ()), store)


def _console() -> "Console":
    from rich.console import Console

    # soft_wrap: lines in a log file are not cut at 80 characters.
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), markup=False)
