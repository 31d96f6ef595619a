import json
from pathlib import Path

import pytest

from fkd.core.errors import UserError
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run, move_aside, open_run

DATA = {"data_checksum": "a" * 64}


def test_a_new_run_keeps_experiment_and_provenance(tmp_path: Path, experiment: Experiment):
    run = Run(tmp_path / "tiny-faces")
    open_run(run, experiment, DATA)
    assert run.read_experiment() == experiment
    assert json.loads(run.provenance.read_text()) == DATA


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


def test_an_absent_run_is_said(tmp_path: Path):
    with pytest.raises(UserError, match=r"no such run; train it first"):
        Run(tmp_path / "nought").read_experiment()
