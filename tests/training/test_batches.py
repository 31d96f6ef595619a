import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from fkd.data.faces import Faces
from fkd.experiment.files import load_experiment
from fkd.training.augment import Batches
from fkd.training.batches import SharedBatches, member_batches, prefetched


@pytest.fixture
def faces() -> Faces:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 96, 96), np.uint8)
    return Faces(images, rng.uniform(10, 85, (20, 15, 2)).astype(np.float32), np.arange(20))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """The batches that were made, as (epoch, index)."""
    calls: list[tuple[int, int]] = []
    make = Batches.__call__
    monkeypatch.setattr(Batches, "__call__", lambda self, *key: (calls.append(key), make(self, *key))[1])
    return calls


def _same(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("count", [1, 2, 16])
def test_batches_come_in_order_and_no_thread_stays(tiny_experiment: Path, faces: Faces, count: int):
    batches = member_batches(load_experiment(str(tiny_experiment)), "four", faces)[0]  # of 8, 8 and 4
    threads = threading.active_count()
    stream = prefetched(batches, 1, 1, count)
    for epoch, index in [(1, 1), (1, 2), (2, 0)]:
        assert _same(next(stream), batches(epoch, index))
    assert threads < threading.active_count() <= threads + count
    stream.close()
    assert threading.active_count() == threads


def test_every_member_has_its_own_batches_or_all_those_of_the_first(tiny_experiment: Path, faces: Faces):
    first, second = member_batches(load_experiment(str(tiny_experiment)), "four", faces)
    assert not _same(first(0, 0), second(0, 0))
    sharing = load_experiment(str(tiny_experiment), ["training.shared_batches=true"])
    for shared in member_batches(sharing, "four", faces):
        assert _same(shared(0, 0), first(0, 0))


def test_members_take_the_variants_in_turn(tiny_experiment: Path, faces: Faces):
    settings = ["variants=[{}, {augmentation_magnitude: 0.5}]", "specialists.four.members=3"]
    first, second, third = member_batches(load_experiment(str(tiny_experiment), settings), "four", faces)
    for batches, degrees in ((first, 10), (second, 5), (third, 10)):
        assert batches.augmentation.rotation.max_degrees == degrees
        assert batches.augmentation.rotation.probability == 0.5
    alike = member_batches(load_experiment(str(tiny_experiment), settings[1:]), "four", faces)
    assert _same(first(0, 0), alike[0](0, 0))
    assert not _same(second(0, 0), alike[1](0, 0))


def test_shared_batches_are_made_once_for_all_threads(tiny_experiment: Path, faces: Faces, made: list):
    sharing = load_experiment(str(tiny_experiment), ["training.shared_batches=true"])
    batches = member_batches(sharing, "four", faces)[1]
    with ThreadPoolExecutor(4) as threads:
        for got in list(threads.map(lambda _: batches(0, 1), range(8))):
            assert got is batches(0, 1)
    assert made == [(0, 1)]


def test_of_shared_batches_the_latest_are_remembered(tiny_experiment: Path, faces: Faces, made: list):
    sharing = load_experiment(str(tiny_experiment), ["training.shared_batches=true"])
    batches = member_batches(sharing, "four", faces)[0]
    assert isinstance(batches, SharedBatches)
    for epoch in (*range(17), 16, 0):  # sixteen are kept, so only the first is made again
        batches(epoch, 0)
    assert made == [(epoch, 0) for epoch in (*range(17), 0)]


def test_a_batch_that_cannot_be_made_fails_for_everyone(tiny_experiment: Path, faces: Faces):
    sharing = load_experiment(str(tiny_experiment), ["training.shared_batches=true"])
    batches = member_batches(sharing, "four", faces)[0]
    for _ in range(2):
        with pytest.raises(IndexError, match="from 0 to 2, received 3"):
            batches(0, 3)
