"""The queue of uploads, with uploads that are lists; its thread is waited for, never timed."""

import threading
from collections.abc import Callable, Iterator

import pytest
from remote_machine import QUICK, WAIT_S, wait_until

from fkd.runs.remote.uploads import Patience, Uploads


class Store:
    """Uploads are noted; the first `refusals` fail, and none ends before `go_on` is set."""

    def __init__(self) -> None:
        self.uploaded: list[str] = []
        self.refusals = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.begun = threading.Semaphore(0)

    def upload(self, folder: str) -> None:
        self.begun.release()
        assert self.go_on.wait(WAIT_S)
        self.uploaded.append(folder)
        if self.refusals:
            self.refusals -= 1
            raise OSError("no\nnetwork")


Start = Callable[..., Uploads[str]]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def start(store: Store, said: list[str]) -> Iterator[Start]:
    """Starts uploads, which end with the test."""
    started: list[Uploads[str]] = []

    def start(patience: Patience = QUICK) -> Uploads[str]:
        started.append(Uploads(store.upload, said.append, patience))
        return started[-1]

    yield start
    store.go_on.set()
    for uploads in started:
        uploads.close(timeout_s=0)


def test_all_arrive_in_the_order_they_came(store: Store, start: Start, said: list[str]):
    uploads = start()
    for folder in "cab":
        uploads.add(folder)
    assert uploads.close(timeout_s=WAIT_S) == []
    assert store.uploaded == ["c", "a", "b"]
    assert uploads.behind() is None
    assert said == []


def test_a_waiting_folder_waits_once_and_one_on_its_way_goes_again(store: Store, start: Start):
    store.go_on.clear()
    uploads = start()
    uploads.add("a")
    assert store.begun.acquire(timeout=WAIT_S)  # a is on its way
    for folder in ("b", "b", "a", "a"):
        uploads.add(folder)
    assert "2 folder(s) behind" in str(uploads.behind())
    store.go_on.set()
    assert uploads.close(timeout_s=WAIT_S) == []
    assert store.uploaded == ["a", "b", "a"]


def test_a_failing_upload_is_tried_again_first_and_said_once(store: Store, start: Start, said: list[str]):
    store.refusals = 3
    store.go_on.clear()
    uploads = start()
    uploads.add("a")
    uploads.add("b")
    store.go_on.set()
    wait_until(lambda: len(said) == 2)
    assert store.uploaded == ["a", "a", "a", "a", "b"]
    assert said[0].startswith("remote store: 2 folder(s) behind, the oldest for ")
    assert said[0].endswith(" s (OSError: no network); trying again")
    assert said[1] == "remote store: everything has arrived"


def test_what_has_not_arrived_at_the_end_is_told(store: Store, start: Start):
    store.go_on.clear()
    uploads = start()
    uploads.add("a")
    assert store.begun.acquire(timeout=WAIT_S)
    uploads.add("b")
    assert sorted(uploads.close(timeout_s=0)) == ["a", "b"]
    store.go_on.set()
    wait_until(lambda: "1 folder(s) behind" in str(uploads.behind()))
    assert not store.begun.acquire(timeout=0.1), "nothing is sent after the end"
    assert store.uploaded == ["a"]


@pytest.mark.parametrize(("failures", "longest_s"), [(1, 1), (2, 2), (5, 16), (7, 60), (10**6, 60)])
def test_pauses_double_up_to_a_minute_and_differ_between_machines(failures: int, longest_s: float):
    delays_s = [Patience().delay_s(failures) for _ in range(50)]
    assert longest_s / 2 <= min(delays_s) < max(delays_s) <= longest_s
