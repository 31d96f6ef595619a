import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fkd.runs.locks import process_is_dead
from fkd.runs.remote import lease as lease_module
from fkd.runs.remote.lease import Lease, LeaseHolder, Leases, LeaseTiming
from fkd.runs.remote.object_store import ObjectStore

KEY = "run/four/00/lease.json"
NEVER_S = 3600.0
QUIET = LeaseTiming(heartbeat_s=NEVER_S, stale_after_s=60.0, settle_s=0.0)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Broken:
    """A store that cannot be reached while `down`."""

    def __init__(self, objects: ObjectStore) -> None:
        self.down, self._objects = True, objects

    def __getattr__(self, name: str):
        if self.down:
            raise ConnectionRefusedError("down")
        return getattr(self._objects, name)


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore((tmp_path / "remote").as_uri())


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch):
    """Call it to become another machine."""

    def become(name: str) -> None:
        monkeypatch.setattr(lease_module, "this_machine", lambda: name)

    become("here")
    return become


def _leases(objects, said: list[str] | None = None, clock: Clock | None = None) -> Leases:
    return Leases(objects, (said if said is not None else []).append, QUIET, clock or Clock())


def _acquire(leases: Leases) -> Lease:
    lease = leases.acquire(KEY)
    assert lease is not None
    return lease


def test_one_holds_and_the_other_learns_who(objects: ObjectStore):
    first, second = _leases(objects), _leases(objects)
    lease = _acquire(first)
    assert second.acquire(KEY) is None
    assert second.holder(KEY).startswith(f"process {os.getpid()} on ")
    lease.release()
    _acquire(second).stop()


def test_a_heartbeat_changes_the_lease_and_keeps_its_owner(objects: ObjectStore):
    lease = _acquire(_leases(objects))
    before = LeaseHolder.parse(objects.read(KEY))
    assert lease.confirm()
    after = LeaseHolder.parse(objects.read(KEY))
    assert (after.owner, after.beat) == (before.owner, before.beat + 1)
    lease.stop()


def test_the_heartbeat_runs_by_itself(objects: ObjectStore):
    leases = Leases(objects, pytest.fail, LeaseTiming(heartbeat_s=0.01))
    lease = _acquire(leases)
    while LeaseHolder.parse(objects.read(KEY)).beat < 3:
        assert not lease.lost.wait(0.01)
    lease.release()
    with pytest.raises(FileNotFoundError):
        objects.read(KEY)


def test_a_lease_unchanged_for_a_minute_is_taken_over_and_its_holder_learns_it(
    objects: ObjectStore, machines
):
    said: list[str] = []
    machines("there")
    lost = _acquire(_leases(objects, said))
    machines("here")
    clock = Clock()
    other = _leases(objects, said, clock)
    for now_s in (0.0, 59.0):
        clock.now_s = now_s
        assert other.acquire(KEY) is None
    clock.now_s = 60.0
    won = _acquire(other)
    assert "no sign of life for 60 s" in said[-1]
    assert not lost.confirm()
    assert lost.lost.is_set()
    assert "lost, now held by" in said[-1]
    lost.release()
    assert LeaseHolder.parse(objects.read(KEY)).owner == won.holder.owner, "the loser removes nothing"
    won.stop()


def test_a_heartbeat_seen_begins_the_minute_again(objects: ObjectStore, machines):
    machines("there")
    alive = _acquire(_leases(objects))
    machines("here")
    clock = Clock()
    other = _leases(objects, clock=clock)
    for now_s in (0.0, 59.0, 118.0):
        clock.now_s = now_s
        alive.confirm()
        assert other.acquire(KEY) is None
    alive.stop()


def _dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_dead_process_of_this_machine_is_taken_over_at_once(objects: ObjectStore, machines):
    dead = LeaseHolder("host", _dead_pid(), owner="token", machine="here", beat=0)
    objects.write(KEY, dead.content())
    said: list[str] = []
    _acquire(_leases(objects, said)).stop()
    assert f"taken over from process {dead.pid} on host: its process is dead" in said[0]


def test_a_dead_pid_of_another_machine_means_nothing(objects: ObjectStore, machines):
    objects.write(KEY, LeaseHolder("host", _dead_pid(), owner="token", machine="there", beat=0).content())
    assert _leases(objects).acquire(KEY) is None


def test_processes_live_and_die():
    assert not process_is_dead(os.getpid())
    assert process_is_dead(_dead_pid())


def test_of_two_that_take_over_the_last_to_write_wins(objects: ObjectStore, machines, monkeypatch):
    objects.write(KEY, LeaseHolder("host", _dead_pid(), owner="token", machine="here", beat=0).content())
    rival = LeaseHolder("host", 1, owner="rival", machine="there", beat=0).content()
    monkeypatch.setattr(lease_module.time, "sleep", lambda _: objects.write(KEY, rival))
    assert _leases(objects).acquire(KEY) is None


_LEASE = {"host": "here", "pid": 1, "owner": "token", "machine": "there", "beat": 0}
_DAMAGED = (b"", b"{", b"[" * 100_000, b"\xff", {"pid": "1"}, {"pid": -1}, {"beat": "1"}, {"owner": 1})


@pytest.mark.parametrize(
    "content",
    [one if isinstance(one, bytes) else json.dumps(_LEASE | one).encode() for one in _DAMAGED],
)
def test_a_damaged_lease_is_held_until_it_is_stale(objects: ObjectStore, machines, content: bytes):
    objects.write(KEY, content)
    clock = Clock()
    leases = _leases(objects, clock=clock)
    assert leases.acquire(KEY) is None
    assert "unknown" in leases.holder(KEY)
    clock.now_s = 60.0
    _acquire(leases).stop()


def test_a_removed_lease_is_lost(objects: ObjectStore):
    lease = _acquire(_leases(objects))
    objects.delete(KEY)
    assert not lease.confirm()
    assert lease.lost.is_set()


def test_without_the_store_a_holder_goes_on(objects: ObjectStore):
    broken = Broken(objects)
    broken.down = False
    lease = _acquire(Leases(broken, pytest.fail, LeaseTiming(heartbeat_s=0.01)))
    broken.down = True
    assert not lease.lost.wait(0.1)
    lease.stop()


def test_without_the_store_a_lease_is_taken_on_trust_and_written_later(objects: ObjectStore):
    broken, said = Broken(objects), []
    lease = _acquire(_leases(broken, said))
    assert "continuing" in said[0]
    broken.down = False
    assert lease.confirm()
    assert LeaseHolder.parse(objects.read(KEY)).owner == lease.holder.owner
    lease.stop()


def test_trust_ends_where_another_holds_the_lease(objects: ObjectStore):
    broken = Broken(objects)
    trusted = _acquire(_leases(broken))
    holder = _acquire(_leases(objects))
    broken.down = False
    assert not trusted.confirm()
    assert trusted.lost.is_set()
    assert holder.confirm()
    trusted.stop()
    holder.stop()
