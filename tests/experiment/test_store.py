from pathlib import Path

import pytest

from fkd.core.errors import UserError
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.records import DamagedRecordError, DoneRecord, write_record
from fkd.experiment.store import (
    MemberFolder,
    Run,
    damaged_files,
    is_done,
    move_aside,
    open_run,
    read_history,
)

DATA = {"data_checksum": "a" * 64}


def test_a_new_run_keeps_experiment_and_provenance(tmp_path: Path, experiment: Experiment):
    run = Run(tmp_path / "tiny-faces")
    open_run(run, experiment, DATA)
    assert run.read_experiment() == experiment
    assert run.read_provenance() == DATA


def test_going_on_with_other_settings_is_refused_with_the_differences(
    tmp_path: Path, experiment: Experiment, tiny_experiment: Path
):
    run = Run(tmp_path / "tiny-faces")
    open_run(run, experiment, DATA)
    other = load_experiment(str(tiny_experiment), ["training.max_epochs=9", "seed=4"])
    with pytest.raises(UserError, match=r"seed: 3 -> 4; training.max_epochs: 3 -> 9.*--fresh"):
        open_run(run, other, DATA)
    assert run.read_experiment() == experiment


def test_going_on_with_other_data_is_refused(tmp_path: Path, experiment: Experiment):
    run = Run(tmp_path / "tiny-faces")
    open_run(run, experiment, DATA)
    with pytest.raises(UserError, match="data: aaaaaaaaaaaa -> bbbbbbbbbbbb"):
        open_run(run, experiment, {"data_checksum": "b" * 64})


def test_more_members_and_another_selection_are_welcome(
    tmp_path: Path, experiment: Experiment, tiny_experiment: Path
):
    run = Run(tmp_path / "tiny-faces")
    open_run(run, experiment, DATA)
    more = load_experiment(str(tiny_experiment), ["specialists.four.members=5", "selection.policy=all"])
    open_run(run, more, DATA)
    assert run.read_experiment() == more


def test_a_run_is_moved_aside_and_not_deleted(tmp_path: Path, experiment: Experiment, tiny_experiment: Path):
    run = Run(tmp_path / "tiny-faces")
    open_run(run, experiment, DATA)
    former = move_aside(run)
    assert former is not None
    open_run(run, load_experiment(str(tiny_experiment), ["seed=4"]), DATA)
    assert Run(former).read_experiment() == experiment
    assert run.read_experiment().seed == 4
    assert move_aside(Run(tmp_path / "nought")) is None


def test_an_absent_run_is_reported(tmp_path: Path):
    with pytest.raises(UserError, match=r"no such run; train it first"):
        Run(tmp_path / "nought").read_experiment()


def test_a_missing_provenance_is_written_anew_and_said(tmp_path: Path, experiment: Experiment):
    run, said = Run(tmp_path / "tiny-faces"), list[str]()
    open_run(run, experiment, DATA)
    run.provenance.unlink()
    open_run(run, experiment, DATA, said.append)
    assert said == [f"{run.provenance}: missing; written anew for the data of checksum aaaaaaaaaaaa"]
    assert run.read_provenance() == DATA


def test_a_missing_experiment_is_written_anew_for_the_same_data_alone(tmp_path: Path, experiment: Experiment):
    run, said = Run(tmp_path / "tiny-faces"), list[str]()
    open_run(run, experiment, DATA)
    run.experiment.unlink()
    open_run(run, experiment, {"data_checksum": "b" * 64}, said.append)
    assert said == [], "nothing was trained yet"
    folder = run.member("four", 0)
    folder.path.mkdir(parents=True)
    folder.state.touch()
    run.experiment.unlink()
    with pytest.raises(UserError, match="data: bbbbbbbbbbbb -> aaaaaaaaaaaa"):
        open_run(run, experiment, DATA, said.append)
    open_run(run, experiment, {"data_checksum": "b" * 64}, said.append)
    assert said == [f"{run.experiment}: missing; written anew as asked for now"]


@pytest.mark.parametrize(
    ("former", "latter", "words"),
    [
        ("members: 2", "members: 1", "do not match the checksum"),
        ("seed: 3", "seed: 4", "do not match the checksum"),
        ("seed: 3\n", "", "do not match the checksum"),
        ("# SHA-256", "#", ""),  # the settings are as before
    ],
)
def test_a_changed_experiment_is_noticed(
    tmp_path: Path, experiment: Experiment, former: str, latter: str, words: str
):
    run = Run(tmp_path / "tiny-faces")
    open_run(run, experiment, DATA)
    text = run.experiment.read_text()
    assert former in text
    run.experiment.write_text(text.replace(former, latter))
    if not words:
        assert run.read_experiment() == experiment
        return
    with pytest.raises(DamagedRecordError, match=rf"^[^\n]*experiment.yaml: .*{words}[^\n]*; put it back"):
        run.read_experiment()


@pytest.mark.parametrize("content", ["", "[", "a: b", "- 1", "!!python/object/apply:os.abort []", "\0"])
def test_another_experiment_is_one_line(tmp_path: Path, experiment: Experiment, content: str):
    run = Run(tmp_path / "tiny-faces")
    open_run(run, experiment, DATA)
    run.experiment.write_text(content)
    with pytest.raises(DamagedRecordError, match=r"^[^\n]*experiment.yaml: [^\n]*; put it back from [^\n]*$"):
        run.read_experiment()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "epoch,validation_rmse_px,seconds\n",
        "epoch,seconds\n1,2\n",
        "epoch,validation_rmse_px,seconds\n1,3.0,2\n3,1.5,2\n",
        "epoch,validation_rmse_px,seconds\n1,3.0,2\n2,1.5\n",
        "epoch,validation_rmse_px,seconds\n1,3.0,2,4\n",
        "epoch,validation_rmse_px,seconds\n1,three,2\n",
        "\0\1\2",
        "a" * 200_000,
    ],
)
def test_another_history_is_one_line(tmp_path: Path, text: str):
    folder = MemberFolder(tmp_path / "four" / "00")
    folder.path.mkdir(parents=True)
    folder.history.write_text(text)
    with pytest.raises(DamagedRecordError, match=r"^[^\n]*history.csv: expected one line an epoch, [^\n]*$"):
        read_history(folder)


def test_the_record_of_another_member_is_refused(tmp_path: Path):
    first, second = (MemberFolder(tmp_path / "four" / name) for name in ("00", "01"))
    for folder in (first, second):
        folder.path.mkdir(parents=True)
    write_record(first.done, DoneRecord(member="four/00", files={}))
    assert is_done(first)
    first.done.rename(second.done)
    assert damaged_files(second) == ["done.json"]
    assert not is_done(second)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected `key: value` lines, received nothing"),
        ("seed: !!python/object/apply:os.system [exit]", "could not determine a constructor"),
        ("name: ../../evil", "name: expected a name without slashes"),
    ],
)
def test_a_run_whose_experiment_is_damaged_is_named(tmp_path: Path, text: str, words: str):
    (tmp_path / "experiment.yaml").write_text(text)
    with pytest.raises(UserError, match=f"experiment.yaml: .*{words}"):
        Run(tmp_path).read_experiment()
