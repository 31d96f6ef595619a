"""Who trains which member; the training itself is replaced by one that writes done.json."""

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tiny_experiment import BY_SOURCE

import fkd.runs.members
from fkd.core.interrupt import InterruptedTrainingError, StopRequest
from fkd.data.faces import Faces
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import MemberFolder, Run, is_done
from fkd.runs.job import Job
from fkd.runs.locks import member_lock
from fkd.runs.members import train_members
from fkd.runs.progress import Progress
from fkd.runs.remote.remote_store import RemoteUnreachableError
from fkd.runs.splits import Split
from fkd.runs.status import run_status
from fkd.training.member_task import MemberTask
from fkd.training.member_training import Steps
from fkd.training.network_pool import NetworkPool

NOBODY = Faces(np.zeros((0, 96, 96), np.uint8), np.zeros((0, 15, 2), np.float32), np.zeros(0, np.int64))
NO_ROWS = np.zeros(0, np.int64)
SPLITS = {name: Split(NO_ROWS, NO_ROWS, NO_ROWS) for name in ("four", "eleven", "all", "many", "few")}


class FakeTraining:
    """Finishes a member at once, or does what `act` does instead."""

    trained: list[str]
    starts: list[Path | None]
    pools: list[NetworkPool]
    act: Callable[["FakeTraining"], None]

    def __init__(
        self,
        task: MemberTask,
        folder: MemberFolder,
        pool: NetworkPool,
        progress: Progress,
        **keywords: object,
    ) -> None:
        self.task, self.folder, self.pool, self.keywords = task, folder, pool, keywords

    def finish(self) -> None:
        self.folder.done.write_text(json.dumps({"files": {}}))

    def steps(self) -> Steps:
        self.trained.append(self.task.name)
        self.starts.append(self.task.start and self.task.start.path)
        self.pools.append(self.pool)
        type(self).act(self)
        yield from ()


class FakeRemote:
    """A remote store that records what it is asked, and answers from `held_elsewhere`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held_elsewhere: set[str] = set()
        self.lost = threading.Event()
        self.reachable = True

    def acquire(self, folder: MemberFolder) -> "FakeRemote | None":
        return None if folder.path.parent.name in self.held_elsewhere else self

    def pull_member(self, folder: MemberFolder) -> None:
        self.asked.append(f"pull {folder.path.parent.name}/{folder.path.name}")
        if not self.reachable:
            raise RemoteUnreachableError("s3://there: expected to read, received no answer")

    def release(self, folder: MemberFolder) -> None:
        self.asked.append(f"release {folder.path.parent.name}/{folder.path.name}")

    def holder(self, folder: MemberFolder) -> str:
        return "elsewhere, pid 1"

    def push(self, folder: MemberFolder) -> None:
        self.asked.append("push")


class Setting:
    """A run in a temporary folder and what is said about it."""

    def __init__(self, folder: Path, experiment: Experiment) -> None:
        self.run, self.experiment = Run(folder / "tiny-faces"), experiment
        self.console = Console(record=True, width=300, quiet=False, file=(folder / "log").open("w"))

    def train(
        self, stop: StopRequest | None = None, remote: FakeRemote | None = None, at_once: int = 1
    ) -> None:
        members = run_status(self.run, self.experiment)
        progress = Progress(members, dict.fromkeys(SPLITS, 1), 3, self.console)
        job = Job(
            run=self.run,
            experiment=self.experiment,
            faces=NOBODY,
            splits=SPLITS,
            test=NOBODY,
            members_at_once=at_once,
        )
        train_members(job, progress, stop or StopRequest(), remote)

    def said(self) -> str:
        return self.console.export_text()


@pytest.fixture
def setting(tmp_path: Path, tiny_experiment: Path, monkeypatch: pytest.MonkeyPatch):
    FakeTraining.trained, FakeTraining.starts, FakeTraining.pools = [], [], []
    FakeTraining.act = FakeTraining.finish
    monkeypatch.setattr(fkd.runs.members, "MemberTraining", FakeTraining)
    monkeypatch.setattr(fkd.runs.members, "LOOK_AGAIN_S", 0.05)
    setting = Setting(tmp_path, load_experiment(str(tiny_experiment)))
    yield setting
    setting.console.file.close()


def test_every_member_is_trained_once_in_rounds(setting: Setting):
    setting.train()
    assert FakeTraining.trained == ["four/00", "eleven/00", "four/01"]
    setting.train()
    assert len(FakeTraining.trained) == 3


def test_members_trained_at_once_are_of_one_specialist(setting: Setting):
    setting.train(at_once=2)
    assert FakeTraining.trained == ["four/00", "four/01", "eleven/00"]


def test_a_member_begins_when_the_one_that_it_continues_is_done(
    setting: Setting, tiny_experiment: Path, monkeypatch: pytest.MonkeyPatch
):
    setting.experiment = load_experiment(str(tiny_experiment), [BY_SOURCE])
    begun = setting.run.member("all", 1)
    begun.path.mkdir(parents=True)

    def release(_: float) -> None:
        held.close()

    with ExitStack() as held:
        assert held.enter_context(member_lock(begun))
        monkeypatch.setattr("time.sleep", release)
        setting.train()
    assert FakeTraining.trained == ["all/00", "many/00", "few/00", "all/01", "many/01", "few/01"]
    assert FakeTraining.starts == [None, *[begun.path.with_name("00")] * 2, None, *[begun.path] * 2]
    assert "Waiting for members that other processes train: all/01 by" in setting.said()


def test_members_that_are_trained_alike_but_for_their_batches_share_networks(
    setting: Setting, tiny_experiment: Path
):
    settings = [
        "network={kind: residual, filters: [2, 3], output_level: 0}",
        "specialists={four: {keypoints: four, members: 4}}",
        "variants=[{}, {augmentation_magnitude: 0.5}, {map_divergence: 0.1}]",
    ]
    setting.experiment = load_experiment(str(tiny_experiment), settings)
    setting.train()
    first, second, third, fourth = FakeTraining.pools
    assert first is second is fourth is not third


def test_a_damaged_member_is_reported_and_trained_again(setting: Setting):
    setting.train()
    folder = setting.run.member("four", 1)
    folder.done.write_text(json.dumps({"files": {"validation.npy": "0" * 64}}))
    setting.train()
    assert FakeTraining.trained[3:] == ["four/01"]
    assert "validation.npy damaged or missing; made again" in setting.said()
    assert is_done(folder)


def test_a_member_that_another_process_holds_comes_last(setting: Setting, monkeypatch: pytest.MonkeyPatch):
    folder = setting.run.member("four", 0)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with member_lock(folder) as mine:
            assert mine
            held.set()
            let_go.wait(20)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(20)
    monkeypatch.setattr("fkd.runs.members.time.sleep", lambda seconds: (let_go.set(), other.join()))
    setting.train()
    assert FakeTraining.trained == ["eleven/00", "four/01", "four/00"]
    assert setting.said().count("Waiting for members that other processes train: four/00 by process") == 1


def test_a_stop_ends_the_waiting(setting: Setting):
    stop = StopRequest()
    stop.stop("SIGTERM")
    remote = FakeRemote()
    remote.held_elsewhere = {"four", "eleven"}
    with pytest.raises(InterruptedTrainingError, match="SIGTERM: nothing was being trained"):
        setting.train(stop, remote)
    assert "four/00 by elsewhere, pid 1" in setting.said()
    assert FakeTraining.trained == []


def test_a_member_is_pulled_under_its_lease_and_released(setting: Setting):
    remote = FakeRemote()
    FakeTraining.act = lambda self: (self.keywords["on_saved"](self.folder), self.finish())
    setting.train(remote=remote)
    assert remote.asked[:3] == ["pull four/00", "push", "release four/00"]
    assert len(remote.asked) == 9


def test_an_unreachable_remote_store_stops_no_training(setting: Setting):
    remote = FakeRemote()
    remote.reachable = False
    setting.train(remote=remote)
    assert len(FakeTraining.trained) == 3
    assert "received no answer" in setting.said()


def test_a_member_that_was_taken_over_is_left_and_looked_at_again(setting: Setting):
    remote = FakeRemote()

    def lose_then_finish(self: FakeTraining) -> None:
        if FakeTraining.trained == ["four/00"]:
            remote.lost.set()
            assert self.keywords["why_stop"]() == "taken over"
            raise InterruptedTrainingError("taken over")
        remote.lost.clear()
        self.finish()

    FakeTraining.act = lose_then_finish
    setting.train(remote=remote)
    assert FakeTraining.trained == ["four/00", "eleven/00", "four/01", "four/00"]


def test_a_stop_ends_everything(setting: Setting):
    stop = StopRequest()

    def stopped(self: FakeTraining) -> None:
        stop.stop("SIGINT")
        raise InterruptedTrainingError(self.keywords["why_stop"]())

    FakeTraining.act = stopped
    with pytest.raises(InterruptedTrainingError, match="SIGINT"):
        setting.train(stop)
    assert FakeTraining.trained == ["four/00"]
