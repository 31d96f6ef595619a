import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from fkd.core.errors import UserError
from fkd.core.files import (
    atomic_path,
    atomic_write_array,
    atomic_write_bytes,
    keep_previous,
    remove_leftovers,
)
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run, move_aside, open_run

DATA = {"data_checksum": "a" * 64}


@pytest.fixture
def experiment(tiny_experiment: Path) -> Experiment:
    return load_experiment(str(tiny_experiment))


def _fail_halfway(path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_interrupted_write_leaves_the_former_file(tmp_path: Path):
    path = tmp_path / "file.txt"
    atomic_write_bytes(path, b"former")
    expected = "file.txt: cannot be written \\(No space left on device\\); what was saved before stays whole"
    with pytest.raises(UserError, match=expected), atomic_path(path) as temporary:
        _fail_halfway(temporary)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_arrays_are_read_without_pickle(tmp_path: Path):
    atomic_write_array(tmp_path / "a.npy", np.arange(3))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), [0, 1, 2])


def test_a_removed_folder_does_not_come_back(tmp_path: Path):
    with pytest.raises(UserError, match="cannot be written"):
        atomic_write_bytes(tmp_path / "gone" / "a", b"")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("hard_links", [True, False])
def test_the_previous_file_is_kept(tmp_path: Path, hard_links: bool, monkeypatch: pytest.MonkeyPatch):
    if not hard_links:
        monkeypatch.setattr("os.link", _fail_to_link)
    path, previous = tmp_path / "state", tmp_path / "previous"
    keep_previous(path, previous)
    assert not previous.exists()
    for content in (b"1", b"2", b"3"):
        keep_previous(path, previous)
        keep_previous(path, previous)  # as after a kill between this and the write
        atomic_write_bytes(path, content)
    assert (path.read_bytes(), previous.read_bytes()) == (b"3", b"2")
    assert sorted(tmp_path.iterdir()) == [previous, path]


def _fail_to_link(source: Path, target: Path) -> None:
    raise OSError("no hard links here")


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path):
    (tmp_path / "state").touch()
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "state") as temporary:
        _leave(temporary)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "state"]


def _leave(temporary: Path) -> None:
    """As SIGKILL would: a copy of the temporary file under another temporary name outlives the writer."""
    temporary.with_name(f"{temporary.name}2").touch()
    raise KeyboardInterrupt


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
