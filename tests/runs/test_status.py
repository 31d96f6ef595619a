from pathlib import Path

from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run
from fkd.runs.locks import member_lock
from fkd.runs.status import MemberStatus, run_status


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
