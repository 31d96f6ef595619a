from pathlib import Path

import keras
import pytest

from fkd.core.files import sha256
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.records import DoneRecord, write_record
from fkd.experiment.store import MemberFolder, Run
from fkd.runs.locks import member_lock
from fkd.runs.status import MemberStatus, recorded_epochs, run_status
from fkd.training.state import TrainingState, save_state


def test_done_begun_and_waiting_members(tmp_path: Path, tiny_experiment: Path):
    run, experiment = Run(tmp_path / "tiny-faces"), load_experiment(str(tiny_experiment))
    for index in (0, 1):
        folder = run.member("four", index)
        folder.path.mkdir(parents=True)
        folder.history.write_text("epoch,validation_rmse_px,seconds\n1,3.0,2\n2,1.5,2\n3,2.0,1\n")
    run.member("four", 0).done.write_text('{"saving_seconds": 0.25, "files": {}}')
    done, begun, waiting = run_status(run, experiment)
    assert (done.name, done.state, done.epochs, done.best_rmse_px, done.best_epoch) == (
        "four/00",
        "done",
        3,
        1.5,
        2,
    )
    assert (done.training_s, done.saving_s) == (5, 0.25)
    assert 0 <= done.saved_s_ago < 60
    assert (begun.name, begun.state) == ("four/01", "interrupted")
    with member_lock(run.member("four", 1)):
        assert run_status(run, experiment)[1].state == "training"
    assert (waiting.name, waiting.state, waiting.epochs) == ("eleven/00", "waiting", 0)
    run.member("eleven", 0).path.mkdir(parents=True)
    run.member("eleven", 0).state.touch()
    assert run_status(run, experiment)[2] == MemberStatus("eleven/00", "interrupted")


@pytest.fixture
def folder(tmp_path: Path) -> MemberFolder:
    """A member whose history.csv says 3 px, and that has neither a state nor an end."""
    folder = Run(tmp_path / "tiny-faces").member("four", 0)
    folder.path.mkdir(parents=True)
    folder.history.write_text("epoch,validation_rmse_px,seconds\n1,3.0,2\n")
    return folder


def errors_px(folder: MemberFolder) -> list[float]:
    return [record["validation_rmse_px"] for record in recorded_epochs(folder)]


def save_another_history(folder: MemberFolder) -> None:
    """A state whose history says 4 px."""
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = [{"epoch": 1.0, "validation_rmse_px": 4.0, "seconds": 2.0}]
    save_state(folder, model, TrainingState(epoch=1, history=history))


def test_epochs_are_those_of_the_state_while_a_member_is_trained(folder: MemberFolder):
    assert errors_px(folder) == [3]  # a machine that follows a training elsewhere has no state
    save_another_history(folder)
    assert errors_px(folder) == [4]


def test_a_finished_members_history_counts_as_far_as_it_is_the_one_it_ended_with(
    folder: MemberFolder, experiment: Experiment
):
    save_another_history(folder)
    record = DoneRecord(saving_seconds=0, files={"history.csv": sha256(folder.history)})
    write_record(folder.done, record)
    assert errors_px(folder) == [3]
    folder.history.write_text(folder.history.read_text().replace("3.0", "2.0"))
    assert errors_px(folder) == [4]
    folder.state.unlink()
    assert errors_px(folder) == []
    assert run_status(Run(folder.path.parent.parent), experiment)[0].state == "damaged"
