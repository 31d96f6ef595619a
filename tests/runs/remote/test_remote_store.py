import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import s3fs
from remote_machine import WAIT_S, Machine, position, wait_until
from tcp_proxy import Proxy

from fkd.core.errors import UserError
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.records import DamagedRecordError
from fkd.experiment.store import MemberFolder, Run, open_run
from fkd.runs.remote.object_store import ObjectStore
from fkd.runs.remote.remote_store import RemoteStore, RemoteUnreachableError
from fkd.runs.remote.uploads import Patience


@pytest.fixture
def proxy(s3_server: int, s3_client: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The way to the S3 server, which is where the client looks for S3."""
    proxy = Proxy(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)  # s3fs' own, with pauses of seconds
    yield proxy
    proxy.down()


@pytest.fixture
def bucket(proxy: Proxy, request: pytest.FixtureRequest) -> str:
    """The URL of a prefix in a new bucket."""
    name = f"bucket-{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(name)
    return f"s3://{name}/some/prefix"


@pytest.fixture(params=["s3", "file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of each kind."""
    if request.param == "s3":
        return request.getfixturevalue("bucket")
    return (tmp_path / "remote").as_uri() if request.param == "file" else f"memory://{tmp_path.name}"


def _files(folder: MemberFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()} if folder.path.exists() else set()


@pytest.fixture
def machine(tmp_path: Path, proxy: Proxy) -> Iterator[Callable[[str, str], Machine]]:
    """Starts machines by name on a URL; they end with the test, before the proxy does."""
    machines: list[Machine] = []

    def start(name: str, url: str) -> Machine:
        machines.append(Machine(url, tmp_path / name))
        return machines[-1]

    yield start
    for each in machines:
        each.remote.close(timeout_s=0.0)


SPLIT = b'{"training": [0], "validation": [1], "validation_groups": [0]}'


def test_a_run_goes_from_one_machine_to_the_next(machine, url: str, tiny_experiment: Path):
    first, second = machine("first", url), machine("second", url)
    _write_run(first, load_experiment(str(tiny_experiment)), "a" * 64)
    first.write(first.run.split("four"), SPLIT)
    first.remote.push(first.run)
    assert first.remote.close() == []
    second.remote.pull_run(second.run)
    for former, latter in zip(_own_files(first.run), _own_files(second.run), strict=True):
        assert former.read_bytes() == latter.read_bytes()


def _own_files(run: Run) -> list[Path]:
    return [run.experiment, run.provenance, run.split("four")]


@pytest.mark.parametrize("name", ["experiment.yaml", "provenance.json", "four/split.json"])
def test_a_damaged_file_of_a_run_is_named_and_not_brought_here(
    machine, url: str, tiny_experiment: Path, name: str
):
    first, second = machine("first", url), machine("second", url)
    _write_run(first, load_experiment(str(tiny_experiment)), "a" * 64)
    first.write(first.run.split("four"), SPLIT)
    first.write(first.run.path / name, b"[")
    first.remote.push(first.run)
    assert first.remote.close() == []
    with pytest.raises(DamagedRecordError, match=rf"^{url}/tiny-faces/{name}: [^\n]*$"):
        second.remote.pull_run(second.run)
    assert not (second.run.path / name).exists()


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"files": {"../../x": "%s"}}' % (b"0" * 64)])
def test_a_damaged_record_of_a_finished_member_is_said(machine, url: str, content: bytes):
    first, second = machine("first", url), machine("second", url)
    first.save(1)
    first.finish()
    first.write(first.member.done, content)
    first.send()
    second.remote.pull_member(second.member)
    assert not second.member.done.exists()
    assert "four/07/done.json: expected what fkd writes for a finished member" in second.said[0]
    assert second.member.state.exists(), "it goes on from the state"


def test_a_damaged_member_here_is_made_whole_by_what_is_there(machine, url: str):
    first, second = machine("first", url), machine("second", url)
    first.finish()
    first.send()
    second.finish()
    second.write(second.member.validation, b"torn")
    second.remote.pull_member(second.member)
    assert second.member.validation.read_bytes() == b"array"


def _write_run(machine: Machine, experiment: Experiment, data_checksum: str) -> None:
    machine.run.path.mkdir(parents=True)
    open_run(machine.run, experiment, {"data_checksum": data_checksum})


def test_a_run_of_another_experiment_or_other_data_is_refused(machine, url: str, tiny_experiment: Path):
    experiment = load_experiment(str(tiny_experiment))
    first = machine("first", url)
    _write_run(first, experiment, "a" * 64)
    first.remote.push(first.run)
    assert first.remote.close() == []
    same, other, other_data = (machine(name, url) for name in ("same", "other", "data"))
    _write_run(same, load_experiment(str(tiny_experiment), ["specialists.four.members=9"]), "a" * 64)
    _write_run(other, load_experiment(str(tiny_experiment), ["seed=4"]), "a" * 64)
    _write_run(other_data, experiment, "b" * 64)
    same.remote.pull_run(same.run)
    assert same.run.read_experiment().specialists["four"].members == 9, "what is here is not overwritten"
    with pytest.raises(
        UserError, match=r"tiny-faces: this run was trained with other settings .seed: 3 -> 4"
    ):
        other.remote.pull_run(other.run)
    with pytest.raises(UserError, match="data: aaaaaaaaaaaa -> bbbbbbbbbbbb"):
        other_data.remote.pull_run(other_data.run)


def test_another_machine_goes_on_from_the_newest_state(machine, url: str):
    first, second = machine("first", url), machine("second", url)
    first.save(1)
    first.save(2)
    first.send()
    second.remote.pull_member(second.member)
    assert position(second.member.state) == (2, 0)
    first.save(3)
    first.send()
    second.remote.pull_member(second.member)
    assert position(second.member.state) == (3, 0), "no listing or content is remembered"
    assert second.member.history.read_bytes() == b"epoch\n3\n"


def test_a_state_that_stands_further_here_is_kept_and_sent_by_who_holds_the_member(machine, url: str):
    first, second = machine("first", url), machine("second", url)
    first.save(1)
    first.send()
    second.save(4)
    second.remote.pull_member(second.member)
    assert position(second.member.state) == (4, 0)
    assert second.remote.behind() is None, "without a lease nothing is sent"
    assert second.remote.acquire(second.member)
    second.remote.pull_member(second.member)
    assert second.remote.close() == []
    first.remote.pull_member(first.member)
    assert position(first.member.state) == (4, 0)


def test_a_finished_member_comes_whole_and_without_its_state(machine, url: str):
    first, second = machine("first", url), machine("second", url)
    first.save(9)
    first.finish()
    first.send()
    second.remote.pull_member(second.member)
    arrays = {"validation.npy", "mirrored_validation.npy", "views_validation.npy"}
    assert _files(second.member) == {"best.weights.h5", "history.csv", "done.json"} | arrays
    assert second.member.best_weights.read_bytes() == b"weights"


def test_a_finished_member_whose_upload_was_killed_is_sent_by_the_next_process(machine, url: str):
    killed = machine("first", url)
    killed.finish()
    killed.remote.close()
    again, second = machine("first", url), machine("second", url)
    again.remote.pull_member(again.member)
    assert again.remote.close() == []
    second.remote.pull_member(second.member)
    assert second.member.done.exists()


@pytest.mark.parametrize(
    "name", ["best.weights.h5", "validation.npy", "mirrored_validation.npy", "history.csv"]
)
def test_a_finished_member_with_a_damaged_file_goes_on_from_its_state(machine, bucket: str, name: str):
    first, second = machine("first", bucket), machine("second", bucket)
    first.save(9)
    first.finish()
    first.send()
    ObjectStore(bucket).write(f"tiny-faces/four/07/{name}", b"wei")
    second.remote.pull_member(second.member)
    assert not second.member.done.exists()
    assert position(second.member.state) == (9, 0)
    assert f"{name}: missing or damaged" in second.said[0]


def test_done_arrives_last(machine, bucket: str, monkeypatch: pytest.MonkeyPatch):
    first, arrived = machine("first", bucket), []
    write = ObjectStore.write

    def record(self: ObjectStore, key: str, content: bytes) -> None:
        write(self, key, content)
        arrived.append(key.rpartition("/")[2])

    monkeypatch.setattr(ObjectStore, "write", record)
    first.save(1)
    first.save(2)
    first.finish()
    first.send()
    assert arrived[-1] == "done.json"
    assert arrived.index("state.previous.npz") < arrived.index("state.npz")
    assert len(arrived) == 8
    first.send()
    assert len(arrived) == 8, "what has not changed is not sent again"


def test_a_damaged_state_is_reported_and_the_one_before_it_taken(machine, bucket: str):
    first, second = machine("first", bucket), machine("second", bucket)
    first.save(1)
    first.save(2)
    first.send()
    key, objects = "tiny-faces/four/07/state.npz", ObjectStore(bucket)
    objects.write(key, objects.read(key)[:2])
    second.remote.pull_member(second.member)
    assert position(second.member.state) == (1, 0)
    assert len(second.said) == 1
    assert f"{key}: damaged (cut short)" in second.said[0]


def test_damaged_remote_states_leave_the_local_one(machine, bucket: str):
    first, second = machine("first", bucket), machine("second", bucket)
    first.save(3)
    first.send()
    ObjectStore(bucket).write("tiny-faces/four/07/state.npz", b"3")
    second.save(1)
    second.remote.pull_member(second.member)
    assert position(second.member.state) == (1, 0)


def test_truncated_answers_are_asked_for_again(machine, bucket: str, proxy: Proxy):
    first, second = machine("first", bucket), machine("second", bucket)
    first.save(1)
    first.send()
    proxy.truncated_answers = 2
    second.remote.pull_member(second.member)
    assert proxy.truncated_answers == 0
    assert position(second.member.state) == (1, 0)


def test_what_cannot_be_read_stops_the_start_and_changes_nothing(machine, bucket: str, proxy: Proxy):
    first, second = machine("first", bucket), machine("second", bucket)
    first.save(1)
    first.send()
    proxy.truncated_answers = 10**6
    with pytest.raises(RemoteUnreachableError, match="expected to read what is there already"):
        second.remote.pull_member(second.member)
    assert _files(second.member) == set()


def test_a_refusing_store_is_reported_once_and_caught_up_with(machine, bucket: str, proxy: Proxy):
    first, second = machine("first", bucket), machine("second", bucket)
    proxy.down()
    first.save(1)
    first.remote.push(first.member)
    wait_until(lambda: len(first.said) == 1)
    assert "1 folder(s) behind" in first.said[0]
    assert "EndpointConnectionError" in first.said[0]
    first.save(2)
    first.remote.push(first.member)
    assert "1 folder(s) behind" in str(first.remote.behind()), "the same folder waits once"
    proxy.up()
    wait_until(lambda: first.remote.behind() is None)
    wait_until(lambda: len(first.said) == 2)
    assert first.said[1] == "remote store: everything has arrived"
    second.remote.pull_member(second.member)
    assert position(second.member.state) == (2, 0), "the newest content is sent"


def test_what_has_not_arrived_at_the_end_is_told(machine, bucket: str, proxy: Proxy):
    first = machine("first", bucket)
    proxy.down()
    first.save(1)
    first.remote.push(first.member)
    assert first.remote.close(timeout_s=0.1) == [first.member.path]
    proxy.up()


def test_a_slow_store_does_not_keep_the_trainer(machine, bucket: str, proxy: Proxy):
    first, second = machine("first", bucket), machine("second", bucket)
    proxy.delay_s = 0.2
    for epoch in range(1, 50):
        first.save(epoch)
        first.remote.push(first.member)
    assert first.remote.behind() is not None
    assert first.remote.close() == []
    proxy.delay_s = 0.0
    second.remote.pull_member(second.member)
    assert position(second.member.state) == (49, 0)


def test_a_late_upload_is_reported(machine, bucket: str, proxy: Proxy, tmp_path: Path):
    said: list[str] = []
    patience = Patience(say_every_s=0.05)
    slow = RemoteStore(bucket, tmp_path, said.append, position, patience)
    proxy.delay_s = 0.1
    folder = Run(tmp_path / "tiny-faces")
    folder.path.mkdir()
    folder.experiment.write_text("settings")
    wait_until(lambda: bool(slow.push(folder) or said))
    assert "1 folder(s) behind" in said[0]
    slow.close()


def test_machines_share_members(machine, url: str):
    first, second = machine("first", url), machine("second", url)
    assert first.remote.acquire(first.member)
    assert second.remote.acquire(second.member) is None
    assert "process" in second.remote.holder(second.member)
    first.finish()
    first.remote.push(first.member)
    first.remote.release(first.member)
    wait_until(lambda: first.remote.behind() is None)
    assert second.remote.acquire(second.member)
    second.remote.pull_member(second.member)
    assert second.member.done.exists()


def test_a_member_is_released_only_when_its_files_have_arrived(machine, bucket: str, proxy: Proxy):
    first, second = machine("first", bucket), machine("second", bucket)
    assert first.remote.acquire(first.member)
    proxy.down()
    first.save(5)
    first.remote.push(first.member)
    first.remote.release(first.member)
    assert first.remote.acquire(first.member) is None
    proxy.up()
    lease = None
    while not lease:
        lease = second.remote.acquire(second.member)
    second.remote.pull_member(second.member)
    assert position(second.member.state) == (5, 0)


def test_close_gives_up_the_leases(machine, url: str):
    first, second = machine("first", url), machine("second", url)
    assert first.remote.acquire(first.member)
    first.remote.close()
    assert second.remote.acquire(second.member)


def test_who_lost_a_member_sends_nothing_more_of_it(machine, url: str):
    first, second = machine("first", url), machine("second", url)
    lease = first.remote.acquire(first.member)
    objects = ObjectStore(url)
    while not lease.lost.wait(0.01):  # again, for a heartbeat may be under way
        objects.write("tiny-faces/four/07/lease.json", b"of another")
    first.save(1)
    first.send()
    second.remote.pull_member(second.member)
    assert not second.member.state.exists()


def test_who_trained_on_trust_does_not_overwrite_who_went_further(machine, bucket: str, proxy: Proxy):
    first, second = machine("first", bucket), machine("second", bucket)
    second.save(8)
    second.send()
    proxy.down()
    lease = first.remote.acquire(first.member)
    first.save(1)
    first.remote.push(first.member)
    proxy.up()
    assert lease.lost.wait(WAIT_S)
    assert any("another machine went further" in line for line in first.said)
    first.remote.pull_member(first.member)
    assert position(first.member.state) == (8, 0)


def test_a_missing_bucket_is_found_out_at_once(proxy: Proxy, tmp_path: Path):
    with pytest.raises(UserError, match="bucket does not exist; create it first"):
        RemoteStore("s3://no-such-bucket/prefix", tmp_path, pytest.fail, position)


def test_missing_credentials_are_found_out_at_once(proxy: Proxy, tmp_path: Path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"NoCredentialsError.*check the credentials"):
        RemoteStore("s3://bucket/prefix", tmp_path, pytest.fail, position)
