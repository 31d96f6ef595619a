from collections.abc import Callable
from pathlib import Path

import pytest

from fkd.core.interrupt import InterruptedTrainingError
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run, open_run
from fkd.runs.remote.remote_store import RemoteStore
from fkd.runs.remote.session import remote_session


@pytest.fixture
def url(tmp_path: Path) -> str:
    return (tmp_path / "remote").as_uri()


@pytest.fixture
def new_run(tmp_path: Path, tiny_experiment: Path) -> Callable[[str], Run]:
    """A run in a machine's own store."""

    def new_run(machine: str) -> Run:
        run = Run(tmp_path / machine / "tiny-faces")
        open_run(run, load_experiment(str(tiny_experiment)), {"data_checksum": "a"})
        return run

    return new_run


def test_without_a_url_there_is_no_remote_store(tmp_path: Path):
    with remote_session(None, tmp_path, Run(tmp_path / "tiny-faces"), pytest.fail) as remote:
        assert remote is None
    assert list(tmp_path.iterdir()) == []


def test_at_the_end_all_is_sent_and_the_next_session_begins_with_it(
    tmp_path: Path, url: str, new_run: Callable[[str], Run]
):
    first, second = new_run("first"), Run(tmp_path / "second/tiny-faces")
    with remote_session(url, first.path.parent, first, pytest.fail) as remote:
        remote.push(first)
    with remote_session(url, second.path.parent, second, pytest.fail):
        assert second.read_experiment() == first.read_experiment()
        assert second.read_data_checksum() == "a"


def _never_arrive(monkeypatch: pytest.MonkeyPatch, left: Path) -> list[float]:
    """Let something be missing at the end; returns how long the end waited for it each time, in seconds."""
    waited_s, close = [], RemoteStore.close

    def close_in_vain(self: RemoteStore, timeout_s: float) -> list[Path]:
        waited_s.append(timeout_s)
        close(self, timeout_s)
        return [left]

    monkeypatch.setattr(RemoteStore, "close", close_in_vain)
    return waited_s


def test_what_has_not_arrived_is_named_and_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, url: str, new_run: Callable[[str], Run]
):
    run, said = new_run("first"), list[str]()
    waited_s = _never_arrive(monkeypatch, run.path)
    with (
        pytest.raises(InterruptedTrainingError, match="lags behind; the same command sends the rest"),
        remote_session(url, run.path.parent, run, said.append),
    ):
        assert said == []
    assert said == [f"{url}: {run.path} has not wholly arrived; it is safe here"]
    assert 0 < waited_s[0] < 120, "a spot machine has two minutes"


def test_a_command_that_fails_keeps_its_own_error(
    monkeypatch: pytest.MonkeyPatch, url: str, new_run: Callable[[str], Run]
):
    run, said = new_run("first"), list[str]()
    _never_arrive(monkeypatch, run.path)
    with pytest.raises(ZeroDivisionError), remote_session(url, run.path.parent, run, said.append):
        raise ZeroDivisionError
    assert len(said) == 1
