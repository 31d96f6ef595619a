"""Members trained on a Ray cluster of several nodes on this machine, compared bit for bit with local ones."""

import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Running, assert_same_results, fkd
from interruptible import PATIENCE_S, start, wait_until
from repository import REPOSITORY
from tiny_experiment import BY_SOURCE

from fkd.core.errors import UserError
from fkd.data.faces import Faces
from fkd.experiment.files import load_experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run
from fkd.runs.engines.ray_tasks import can_begin, ray_cluster, train_member
from fkd.runs.job import Job

pytest.importorskip("ray", reason="the extra ray is not installed")


class Nodes:
    """A head that trains nothing, and two nodes of one core each; all listen on the loopback interface."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster()
        self._add(num_cpus=0, include_dashboard=False)
        self.workers = [self._add(num_cpus=1) for _ in range(2)]

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def lose_one(self) -> None:
        """Kill all processes of a node, and start another later."""
        self._cluster.remove_node(self.workers.pop(), allow_graceful=False)

    def replace(self) -> None:
        self.workers.append(self._add(num_cpus=1))

    def shut_down(self) -> None:
        self._cluster.shutdown()

    def _add(self, **settings: object) -> object:
        return self._cluster.add_node(node_ip_address="127.0.0.1", **settings)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("PYTHONPATH", str(REPOSITORY))
        nodes = Nodes()
        yield nodes
        nodes.shut_down()


def _start(nodes: Nodes, faces_folder: Path, log: Path, *options: object) -> Running:
    return start(faces_folder, log, *options, "--engine", "ray", "--address", nodes.address)


def _wait_for_states(run: Path, count: int) -> None:
    """Until this many members are being trained and have saved."""

    def enough() -> bool:
        states = [state for state in run.glob("*/*/state.npz") if not state.with_name("done.json").exists()]
        return len(states) >= count

    wait_until(enough, "no member was saved")


def test_members_survive_the_loss_of_a_node_and_of_the_driver(
    nodes: Nodes,
    trained_alone: dict[str, np.ndarray],
    faces_folder: Path,
    workplace: Path,
    tiny_experiment: Path,
):
    run, log, bucket = workplace / "models_store" / "tiny-faces", workplace / "log.txt", workplace / "bucket"
    store = ("--store", f"file://{bucket}")
    driver = _start(nodes, faces_folder, log, *store)
    _wait_for_states(run, 2)
    members = r"training 3 of 3 members on a Ray cluster of 3 machine\(s\), 2 CPU core\(s\)"
    assert re.search(members, log.read_text())
    nodes.lose_one()
    nodes.replace()
    wait_until(lambda: "resuming after epoch" in log.read_text(), "its member was not taken over")
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(PATIENCE_S) == 75, log.read_text()
    assert "SIGTERM: every member is saved; run the same command again" in log.read_text()

    driver = _start(nodes, faces_folder, log, *store)
    wait_until(lambda: list(run.glob("*/*/done.json")), "no member was finished")
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    finished = {done: done.stat().st_mtime_ns for done in run.glob("*/*/done.json")}

    assert _start(nodes, faces_folder, log, *store).wait(PATIENCE_S) == 0, log.read_text()
    assert_same_results(run, trained_alone)
    assert {done: done.stat().st_mtime_ns for done in finished} == finished
    assert len(list(bucket.glob("tiny-faces/*/*/done.json"))) == 3
    assert "3 of 3 members, ensemble 0 s left" in log.read_text()


def test_what_is_wrong_itself_is_not_tried_again(
    nodes: Nodes, faces_folder: Path, workplace: Path, tiny_experiment: Path
):
    one = "specialists={all: {keypoints: all, rows: any, batch_size: 4, members: 1}}"
    settings = (one, "training.optimizer.learning_rate=1e30", "resources.cpus=1")
    wrong = [word for setting in settings for word in ("--set", setting)]
    arguments = ["train", "tiny.yaml", "--data", faces_folder, *wrong]
    complaint = fkd(*arguments, "--engine", "ray", "--address", nodes.address, status=1)
    assert "the training diverged; lower training.optimizer.learning_rate" in complaint


def test_a_member_does_not_hold_cores_until_the_one_that_it_continues_is_done(tiny_experiment: Path):
    experiment = load_experiment(str(tiny_experiment), [BY_SOURCE])
    missing = experiment.members
    assert [member.name for member in can_begin(experiment, missing, [])] == ["all/00", "all/01"]
    # all/00 is done, and all/01 is being trained.
    assert [member.name for member in can_begin(experiment, missing[2:], missing[1:2])] == [
        "many/00",
        "few/00",
    ]


@pytest.mark.parametrize(
    ("address", "received"),
    [("127.0.0.1:1", "[Errno 111] Connection refused"), ("ray://127.0.0.1:1", "neither auto nor HOST:PORT")],
)
def test_a_cluster_that_does_not_answer_is_named(
    address: str, received: str, faces_folder: Path, workplace: Path, tiny_experiment: Path
):
    arguments = ["train", "tiny.yaml", "--data", faces_folder, "--engine", "ray", "--address", address]
    assert f"--address {address}: expected a Ray cluster, received: {received}" in fkd(*arguments, status=1)


def test_a_missing_token_is_one_line(
    nodes: Nodes,
    faces_folder: Path,
    workplace: Path,
    tiny_experiment: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(workplace))
    arguments = ["train", "tiny.yaml", "--data", faces_folder, "--engine", "ray", "--address", nodes.address]
    [line] = fkd(*arguments, status=1).splitlines()
    assert "no authentication token was found; check that it is running" in line


def test_a_machine_that_does_not_see_the_store_says_so(tiny_experiment: Path, tmp_path: Path):
    nobody = Faces(np.zeros((0, 96, 96), np.uint8), np.zeros((0, 15, 2), np.float32), np.zeros(0, np.int64))
    job = Job(
        run=Run(tmp_path / "run"),
        experiment=load_experiment(str(tiny_experiment)),
        faces=nobody,
        splits={},
        test=nobody,
    )
    with pytest.raises(UserError, match=r"expected to find .*run, found none; give all machines a shared"):
        train_member(job, MemberId("four", 0), None)


def test_without_ray_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    complaint = "expected the package ray, found none; install it with: make ray"
    with pytest.raises(UserError, match=complaint), ray_cluster(None):
        pass
