"""The verbs as functions; whole trainings are in test_cli."""

from pathlib import Path

import pytest
from rich.console import Console
from small_run import small_faces, write_run

import fkd.pipeline
from fkd.core.errors import UserError
from fkd.core.interrupt import StopRequest
from fkd.ensemble.selection_file import read_selection
from fkd.experiment.experiment import differences
from fkd.experiment.store import Run
from fkd.pipeline import review, score_files, select, status, submit, train
from fkd.runs.request import Request

FACES = small_faces()


def _chosen(run: Run) -> dict[str, tuple[int, ...]]:
    return {name: report.chosen for name, report in read_selection(run).items()}


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=200)


@pytest.fixture
def asked(
    workplace: Path, tiny_experiment: Path, faces_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Request:
    """For the run that is written by hand, and its faces."""
    monkeypatch.setattr(fkd.pipeline, "load_data", lambda source, say, schema=None: FACES)
    return Request(str(tiny_experiment), str(faces_folder))


def test_status_shows_the_run_that_is_asked_for_or_all(asked: Request, console: Console):
    status(Request(), console)
    assert "models_store: no runs yet; start one with" in console.export_text()
    write_run(Path("models_store"), FACES, {"four": (1.0, None), "eleven": (1.0,)})
    for request in (asked, Request()):
        status(request, console)
        printed = console.export_text()
        assert "tiny-faces: 2 of 3 members done" in printed
        assert "four/01" in printed


def test_select_keeps_the_choice_and_how_it_was_asked_for(
    asked: Request, tiny_experiment: Path, console: Console
):
    run = write_run(Path("models_store"), FACES)
    before = run.read_experiment()
    select(asked, console)  # tiny.yaml says `best`, the run `greedy`; the better member is wrong by 4 px
    assert _chosen(run) == {"four": (1,), "eleven": (0,)}
    assert differences(before, run.read_experiment()) == ["selection.policy: greedy -> best"]
    select(Request(str(tiny_experiment), asked.data, ("selection.policy=all",)), console)
    assert _chosen(run) == {"four": (0, 1), "eleven": (0,)}
    assert run.label_outliers.exists()
    printed = console.export_text()
    assert printed.index("four: 1 of 2 members") < printed.index("four: 2 of 2 members")
    assert "far_labels.csv: 0 label outliers" in printed


def test_a_fresh_start_behind_a_url_is_refused(tiny_experiment: Path, asked: Request, console: Console):
    there = Request(str(tiny_experiment), asked.data, store="memory://somewhere")
    run = write_run(Path("models_store"), FACES)
    with pytest.raises(UserError, match="memory://somewhere keeps its runs; name another prefix"):
        train(there, console, StopRequest(), fresh=True)
    assert run.experiment.exists()


def test_decisions_that_cannot_be_read_leave_a_former_run_where_it_is(
    tiny_experiment: Path, asked: Request, console: Console
):
    run = write_run(Path("models_store"), FACES)
    wanted = Request(str(tiny_experiment), asked.data, ("reviewed_labels=nowhere.csv",))
    with pytest.raises(UserError, match=r"^reviewed_labels: nowhere\.csv: expected a readable CSV file"):
        train(wanted, console, StopRequest(), fresh=True)
    assert [path.name for path in Path("models_store").iterdir()] == [run.name]


def test_a_review_wants_chosen_members_and_labels_outside_their_radii(asked: Request, console: Console):
    write_run(Path("models_store"), FACES)
    with pytest.raises(UserError, match="expected chosen members, received none; run fkd select"):
        review(asked, console, None, 7861)
    assert not list(Path().glob("reviewed-*"))


def test_what_kaggle_would_not_take_is_refused_before_any_work(asked: Request, console: Console):
    run = write_run(Path("models_store"), FACES)
    with pytest.raises(UserError, match="--to-kaggle: expected Kaggle credentials, received none"):
        submit(asked, console, "a message")
    assert not run.selection.exists()


def test_a_finished_run_is_not_trained_again(asked: Request, console: Console):
    run = write_run(Path("models_store"), FACES)
    former = {path: path.read_bytes() for path in run.path.glob("*/*/*")}
    train(asked, console, StopRequest())
    assert "tiny-faces: nothing to train, all 3 members are done" in console.export_text()
    assert {path: path.read_bytes() for path in run.path.glob("*/*/*")} == former


@pytest.mark.usefixtures("workplace")
def test_the_lookup_table_beside_a_solution_names_its_features(console: Console):
    Path("submission.csv").write_text("RowId,Location\n1,13\n2,26\n")
    Path("solution.csv").write_text("RowId,Location\n1,10\n2,30\n")
    score_files(Path("submission.csv"), Path("solution.csv"), console)
    printed = console.export_text()
    assert "3.5355" in printed  # the root of (9 + 16) / 2
    assert "nose_tip" not in printed
    Path("IdLookupTable.csv").write_text("RowId,ImageId,FeatureName\n1,1,nose_tip_x\n2,1,nose_tip_y\n")
    score_files(Path("submission.csv"), Path("solution.csv"), console)
    lines = [line.replace("│", " ").split()[1:] for line in console.export_text().splitlines()]
    assert ["nose_tip_x", "1", "3.0000"] in lines
    assert ["nose_tip_y", "1", "4.0000"] in lines
