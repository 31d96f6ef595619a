import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import fkd
from tiny_experiment import BY_SOURCE
from typer.testing import CliRunner

from fkd.cli import app
from fkd.core.errors import UserError
from fkd.core.files import sha256
from fkd.core.keypoints import KAGGLE15
from fkd.data.faces import FaceData, Faces
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.records import DamagedRecordError
from fkd.experiment.store import Run, open_run
from fkd.report.comparison import compare_table
from fkd.report.comparison_file import Row, Table

ROWS = 6
TRUTH_PX = np.random.default_rng(0).uniform(20, 80, (ROWS, 15, 2)).astype(np.float32)
NETWORK = "network: {input_normalisation: none, convolutions: [{filters: 2, kernel: 3, pool: 8}]}"
COMMAND = "fkd compare --train"
LOSSES = ("loss", "validation_loss")
CONVOLUTION = (3 * 3 + 1) * 2


@pytest.fixture
def data() -> FaceData:
    images = np.zeros((ROWS, 96, 96), np.uint8)
    training = Faces(images, TRUTH_PX, np.arange(ROWS))
    nobody = training.take(np.array([], np.int64))
    return FaceData("faces", "c" * 64, KAGGLE15.names, training, nobody, None, pd.DataFrame(), None)


def _finish(run: Run, specialist: str, index: int, rows: list[int], points: str, *errors_px: float) -> None:
    """A trained member whose validation predictions stand so far to the right and below the truth.

    errors_px: that of all rows, or one of each.
    """
    folder = run.member(specialist, index)
    folder.path.mkdir(parents=True)
    split = {"training": [0], "validation": rows, "validation_groups": rows}
    run.split(specialist).write_text(json.dumps(split))
    np.save(
        folder.validation, TRUTH_PX[rows][:, KAGGLE15.indices(points)] + np.float32(errors_px)[:, None, None]
    )
    folder.history.write_text(
        "epoch,images,loss,validation_loss,validation_rmse_px,training_seconds,seconds\n"
        f"1,10,0.5,0.75,{errors_px[0] + 1},2.0,3.0\n2,10,0.25,0.5,{errors_px[0]},1.0,1.0\n"
    )
    folder.done.write_text(json.dumps({"files": {folder.validation.name: sha256(folder.validation)}}))


def _experiment(folder: Path, name: str, specialists: str) -> Experiment:
    path = folder / f"{name}.yaml"
    path.write_text(f"{NETWORK}\nspecialists: {specialists}\n")
    return load_experiment(str(path))


def _open(path: Path, experiment: Experiment) -> Run:
    open_run(Run(path), experiment, {"data_checksum": "c"})
    return Run(path)


def _two_members(folder: Path) -> tuple[Experiment, Run]:
    """A finished run whose members stand 1 px to the right and below, and 2 px to the left and above."""
    experiment = _experiment(folder, "whole", "{all: {keypoints: all, members: 2}}")
    run = _open(folder / "run", experiment)
    for index, error_px in enumerate((1.0, -2.0)):
        _finish(run, "all", index, [1, 2, 3, 4], "all", error_px)
    return experiment, run


def _row(**settings: object) -> Row:
    return Row(system="system", experiment="any", **settings)


def test_systems_are_scored_on_the_rows_that_validate_in_all_of_them(tmp_path: Path, data: FaceData):
    whole = _experiment(tmp_path, "whole", "{all: {keypoints: all, members: 1}}")
    parts = _experiment(
        tmp_path, "parts", "{four: {keypoints: four, members: 1}, eleven: {keypoints: eleven, members: 1}}"
    )
    runs = {
        _row(): (whole, _open(tmp_path / "a", whole)),
        _row(published="1.5"): (parts, _open(tmp_path / "b", parts)),
    }
    _finish(runs[_row()][1], "all", 0, [1, 2, 3, 4], "all", 3.0)
    far = np.load(tmp_path / "a/all/00/validation.npy")
    far[0] += 50  # row 1 validates in the first run only and does not count
    np.save(tmp_path / "a/all/00/validation.npy", far)
    done = {"files": {"validation.npy": sha256(tmp_path / "a/all/00/validation.npy")}}
    (tmp_path / "a/all/00/done.json").write_text(json.dumps(done))
    _finish(runs[_row(published="1.5")][1], "four", 0, [2, 3, 4, 5], "four", 1.0)
    _finish(runs[_row(published="1.5")][1], "eleven", 0, [2, 3, 4], "eleven", 2.0)
    table = Table(
        title="t",
        data="d",
        measures=(
            "rmse_px",
            "behind_first_px",
            "competition_px",
            "mae_px",
            "mae_sum",
            "loss",
            "validation_loss",
        ),
        rows=tuple(runs),
    )
    lines = compare_table(table, runs, data, COMMAND)
    assert lines["validation RMSE px"].tolist() == pytest.approx(
        [3, math.sqrt((4 * 1 + 11 * 4) / 15)], rel=1e-5
    )
    assert lines["behind the first row"].tolist() == pytest.approx([0, math.sqrt(3.2) - 3], rel=1e-5)
    # Of 13,562 points that the competition asks for, 7,125 are of the four.
    weighted_px = math.sqrt((7125 * 1 + 6437 * 4) / 13562)
    assert lines["weighted as the competition"].tolist() == pytest.approx([3, weighted_px], rel=1e-5)
    assert lines["MAE px"].tolist() == pytest.approx([3, (4 * 1 + 11 * 2) / 15], rel=1e-5)
    assert lines["MAE sum"].tolist() == pytest.approx([15 * 2 * 3 / 96, 2 * (4 + 22) / 96], rel=1e-5)
    assert lines["training loss"].tolist() == [0.25, 0.25]  # of the best epoch
    assert lines["validation loss"].tolist() == [0.5, 0.5]
    assert lines["networks"].tolist() == [1, 2]
    output = 2 + 1  # two pooled features and a bias for every value
    assert lines["parameters"].tolist() == [CONVOLUTION + 30 * output, 2 * CONVOLUTION + 30 * output]
    assert lines["images/s"].tolist() == [10, 10]  # of the fastest epoch
    assert lines["epochs"].tolist() == ["2", "2 + 2"]
    assert lines["images seen by each"].tolist() == [20, 20]
    assert lines["published"].tolist() == ["", "1.5"]


def test_members_are_chosen_or_averaged(tmp_path: Path, data: FaceData):
    experiment, run = _two_members(tmp_path)
    rows = [_row(members=members) for members in ("best", "all", "chosen")]
    lines = compare_table(
        Table(title="t", data="d", rows=rows), dict.fromkeys(rows, (experiment, run)), data, COMMAND
    )
    # +1 alone; the mean of +1 and -2; two of +1 and one of -2.
    assert lines["validation RMSE px"].tolist() == pytest.approx([1, 0.5, 0], abs=1e-5)


def test_members_alone_and_what_they_took(tmp_path: Path, data: FaceData):
    experiment, run = _two_members(tmp_path)
    table = Table(
        title="t", data="d", measures=["alone_rmse_px", "alone_spread_px", "minutes"], rows=[_row()]
    )
    lines = compare_table(table, {table.rows[0]: (experiment, run)}, data, COMMAND)
    assert lines["of a member alone"][0] == pytest.approx(1.5)
    assert lines["standard deviation over members"][0] == pytest.approx(0.5 * 2**0.5)
    assert lines["minutes a member"][0] == pytest.approx(2 / 60)  # two epochs of the faster one's second


def test_errors_over_people_and_of_differences(tmp_path: Path, data: FaceData):
    experiment = _experiment(tmp_path, "whole", "{all: {keypoints: all, members: 1}}")
    rows = [_row(), _row(published="x")]
    runs = {
        row: (experiment, _open(tmp_path / name, experiment)) for row, name in zip(rows, "ab", strict=True)
    }
    for (_, run), errors_px in zip(runs.values(), ([1.0], [3.0, 5.0]), strict=True):
        _finish(run, "all", 0, [1, 2], "all", *errors_px)
    measures = ["rmse_error_px", "behind_first_px", "behind_first_error_px"]
    lines = compare_table(Table(title="t", data="d", measures=measures, rows=rows), runs, data, COMMAND)
    # Without either person the second is at 5 and 3 px, 4 and 2 px behind the first.
    assert lines["its standard error over people"].tolist() == pytest.approx([0, 1], abs=1e-5)
    assert lines["behind the first row"].tolist() == pytest.approx([0, 17**0.5 - 1], abs=1e-5)
    assert lines["standard error of that"].tolist() == pytest.approx([0, 1], abs=1e-5)


def test_a_remark_takes_the_place_of_published_figures(tmp_path: Path, data: FaceData):
    experiment = _experiment(tmp_path, "whole", "{all: {keypoints: all, members: 1}}")
    run = _open(tmp_path / "run", experiment)
    _finish(run, "all", 0, [1, 2], "all", 3.0)
    rows = {_row(): (experiment, run), _row(remark="kept"): (experiment, run)}
    lines = compare_table(Table(title="t", data="d", rows=tuple(rows)), rows, data, COMMAND)
    assert lines["remark"].tolist() == ["", "kept"]
    assert "published" not in lines


def test_a_run_that_is_not_finished_leaves_its_row_empty(tmp_path: Path, data: FaceData):
    experiment = _experiment(tmp_path, "whole", "{all: {keypoints: all, members: 1}}")
    a, b = (_open(tmp_path / name, experiment) for name in "ab")
    runs = {_row(): (experiment, a), _row(published="x"): (experiment, b)}
    _finish(a, "all", 0, [1, 2], "all", 3.0)
    lines = compare_table(Table(title="t", data="d", rows=tuple(runs)), runs, data, COMMAND)
    assert lines["validation RMSE px"].isna().tolist() == [False, True]


def test_a_row_of_one_specialist_waits_for_it_alone(tmp_path: Path, data: FaceData):
    experiment = _experiment(
        tmp_path, "parts", "{four: {keypoints: four, members: 1}, eleven: {keypoints: eleven, members: 1}}"
    )
    run = _open(tmp_path / "run", experiment)
    _finish(run, "eleven", 0, [1, 2], "eleven", 3.0)
    rows = [_row(specialists=[name]) for name in ("four", "eleven")] + [_row()]
    lines = compare_table(
        Table(title="t", data="d", rows=rows), dict.fromkeys(rows, (experiment, run)), data, COMMAND
    )
    assert lines["validation RMSE px"].tolist() == pytest.approx([math.nan, 3, math.nan], nan_ok=True)
    assert lines["networks"].isna().tolist() == [True, False, True]
    assert lines["checksum"].nunique() == 3


def test_a_run_of_another_budget_leaves_its_row_empty(tmp_path: Path, data: FaceData):
    experiment = _experiment(tmp_path, "whole", "{all: {keypoints: all, members: 1}}")
    run = _open(tmp_path / "a", experiment)
    _finish(run, "all", 0, [1, 2], "all", 3.0)
    shorter = load_experiment(str(tmp_path / "whole.yaml"), ["training.max_images=5"])
    table = Table(title="t", data="d", rows=(_row(),))
    for asked_for, empty in ((experiment, False), (shorter, True)):
        lines = compare_table(table, {_row(): (asked_for, run)}, data, COMMAND)
        assert lines["validation RMSE px"].isna().tolist() == [empty]


def test_the_checksum_is_that_of_what_the_figures_follow_from(tmp_path: Path, data: FaceData):
    experiment = _experiment(tmp_path, "whole", "{all: {keypoints: all, members: 1}}")
    shorter = load_experiment(str(tmp_path / "whole.yaml"), ["training.max_images=5"])

    def checksum(experiment: Experiment = experiment, data: FaceData = data, **settings: object) -> str:
        row, run = _row(**settings), Run(tmp_path / "nought")
        table = Table(title="t", data="d", rows=(row,))
        return str(compare_table(table, {row: (experiment, run)}, data, COMMAND)["checksum"][0])

    assert checksum(published="1.5", remark="kept") == checksum()
    others = [
        checksum(shorter),
        checksum(members="all"),
        checksum(prediction={"detector": "haar"}),
        checksum(data=replace(data, checksum="other")),
    ]
    assert len({checksum(), *others}) == 5


def test_runs_without_a_common_row_are_refused(tmp_path: Path, data: FaceData):
    experiment = _experiment(tmp_path, "whole", "{all: {keypoints: all, members: 1}}")
    a, b = (_open(tmp_path / name, experiment) for name in "ab")
    runs = {_row(): (experiment, a), _row(published="x"): (experiment, b)}
    for (_, run), rows in zip(runs.values(), ([1, 2], [3, 4]), strict=True):
        _finish(run, "all", 0, rows, "all", 3.0)
    with pytest.raises(UserError, match="t: expected faces that validate in all of its runs"):
        compare_table(Table(title="t", data="d", rows=tuple(runs)), runs, data, COMMAND)


@pytest.mark.usefixtures("in_the_repository")
def test_an_experiment_whose_members_go_on_is_refused(tiny_experiment: Path, tmp_path: Path, data: FaceData):
    table, by_source = (
        Table(title="One", data="faces", rows=(Row(system="a", experiment="by-source"),)),
        [BY_SOURCE],
    )
    runs = {table.rows[0]: (load_experiment(str(tiny_experiment), by_source), Run(tmp_path / "run"))}
    with pytest.raises(
        UserError, match=r"^One: expected .* all begin anew, received by-source; leave its row out$"
    ):
        compare_table(table, runs, data, COMMAND)


COMPARISON = """
budget: [training.max_images=16]
tables:
  - title: Faces
    data: {data}
    rows:
      - {{system: all averaged, experiment: {experiment}, members: all}}
      - {{system: inside the face, experiment: {experiment}, members: all, prediction: {{detector: haar}}}}
      - {{system: another, experiment: {experiment}, settings: [training.optimizer.name=adam, name=other]}}
"""


@pytest.mark.usefixtures("workplace")
def test_from_nothing_to_a_table(tiny_experiment: Path, faces_folder: Path):
    file = Path("comparison.yaml")
    file.write_text(COMPARISON.format(data=faces_folder, experiment=tiny_experiment))
    marks = [f"<!-- {end}: written by fkd compare --file comparison.yaml -->" for end in ("begin", "end")]
    Path("comparison.md").write_text("\n".join(["before", *marks, "after", ""]))
    assert "| another | not run |" in fkd("compare", "--file", file)
    assert "add --train" in fkd("compare", "--file", file, tiny_experiment, status=1)
    trained = fkd("compare", "--file", file, "--train", tiny_experiment)
    assert "Run 1 of 2: " in trained
    assert "tiny-faces: training 3 of 3 members" in trained
    assert "Run 2 of 2: " in trained
    assert "other-faces: training 3 of 3 members" in trained
    assert "training" not in fkd("compare", "--file", file).partition("###")[0]
    text = Path("comparison.md").read_text()
    assert text.startswith(f"before\n{marks[0]}\n")
    assert text.endswith(f"{marks[1]}\nafter\n")
    assert len(re.findall(r"^\| (all averaged|inside the face|another) \| \d", text, re.M)) == 3
    assert "not run" not in text
    results = pd.read_csv("comparison.csv")
    assert (results["validation RMSE px"] > 0).all()
    assert (results["command"] == f"fkd compare --train --file comparison.yaml {tiny_experiment}").all()
    assert results["images seen by each"].tolist() == [16, 16, 16]
    Path("models_store").rename("elsewhere")
    printed = fkd("compare", "--file", file)
    assert "Faces: former figures kept, as these runs are not finished here: all averaged, " in printed
    assert Path("comparison.md").read_text() == text
    pd.testing.assert_frame_equal(pd.read_csv("comparison.csv"), results)
    kept = Path("comparison.csv").read_bytes()
    of_these_data = file.read_text()
    file.write_text(of_these_data.replace(str(faces_folder), "nowhere"))
    assert "Faces: its data cannot be read: Expected auto, " in fkd("compare", "--file", file)
    assert Path("comparison.md").read_text() == text
    assert Path("comparison.csv").read_bytes() == kept
    file.write_text(of_these_data.replace("=16", "=32"))
    assert "| another | not run |" in fkd("compare", "--file", file), "of another budget"


def test_jobs_train_side_by_side(tiny_experiment: Path, faces_folder: Path, monkeypatch: pytest.MonkeyPatch):
    engines = []
    monkeypatch.setattr("fkd.pipeline.train", lambda *words, engine: engines.append(engine))
    file = tiny_experiment.with_name("comparison.yaml")
    file.write_text(COMPARISON.format(data=faces_folder, experiment=tiny_experiment))
    marks = [f"<!-- {end}: written by fkd compare --file comparison.yaml -->" for end in ("begin", "end")]
    file.with_suffix(".md").write_text("\n".join([*marks, ""]))
    words = ["compare", "--file", file, "--train", "--jobs", 3, "--store", tiny_experiment.parent]
    done = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert [engine.processes for engine in engines] == [3, 3]  # of the two experiments


def test_a_damaged_member_is_refused_and_leaves_no_empty_row(tmp_path: Path, data: FaceData):
    experiment = _experiment(tmp_path, "whole", "{all: {keypoints: all, members: 1}}")
    run = _open(tmp_path / "a", experiment)
    _finish(run, "all", 0, [1, 2], "all", 3.0)
    run.member("all", 0).validation.write_bytes(b"torn")
    table = Table(title="t", data="d", rows=(_row(),))
    with pytest.raises(DamagedRecordError, match=r"a: expected whole files .* all/00 \(validation.npy\)"):
        compare_table(table, {_row(): (experiment, run)}, data, COMMAND)
