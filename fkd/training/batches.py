"""Whose batches a member is trained on, and how they are prepared while the network is busy."""

import threading
from collections import OrderedDict, deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, islice

from fkd.data.faces import Faces
from fkd.experiment.experiment import Experiment
from fkd.training.augment import Batch, Batches

# Members that share their batches walk in step; a resumed one may be elsewhere and makes its own meanwhile.
_REMEMBERED = 16


@dataclass(frozen=True, eq=False)
class SharedBatches(Batches):
    """Batches for several members at once: the latest ones are remembered, so each is made once."""

    _made: OrderedDict[tuple[int, int], Future[Batch]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, epoch: int, index: int) -> Batch:
        """The batch, as `Batches` makes it; nobody may change it."""
        with self._lock:
            mine = (epoch, index) not in self._made
            made = self._made.setdefault((epoch, index), Future())
            if len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
        if mine:
            try:
                made.set_result(super().__call__(epoch, index))
            except BaseException as error:
                made.set_exception(error)
        return made.result()


def member_batches(experiment: Experiment, specialist: str, training: Faces) -> list[Batches]:
    """The batches of every member of a specialist, by its number; training: the specialist's rows.

    Where the experiment lets them share, all have those that the first one would have alone.
    """
    settings = experiment.specialists[specialist]

    def batches(kind: type[Batches], index: int) -> Batches:
        return kind(
            training.images,
            training.keypoints,
            experiment.of_member(specialist, index).augmentation,
            experiment.schema_points,
            experiment.point_indices(specialist),
            settings.batch_size,
            experiment.member_seed(specialist, index),
        )

    if experiment.training.shared_batches:
        return [batches(SharedBatches, 0)] * settings.members
    return [batches(Batches, index) for index in range(settings.members)]


def prefetched(
    batches: Batches, first_epoch: int, first_index: int, threads: int
) -> Generator[Batch, None, None]:
    """All batches from a place on, in order; threads prepare the next ones while the current one trains."""
    positions = ((epoch, index) for epoch in count(first_epoch) for index in range(len(batches)))
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for epoch, index in islice(positions, first_index, None):
                waiting.append(pool.submit(batches, epoch, index))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
