"""A row of the benchmark table, and how two ways of doing the same are timed against each other."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """What was measured against what: a ratio that reaches its target or misses it.

    ratio, target: larger is better; for a limit in seconds or bytes the ratio is limit / measured, the
    target 1. detail: the absolute figures behind the ratio.
    """

    what: str
    against: str
    ratio: float
    target: float
    detail: str

    @property
    def passes(self) -> bool:
        """Whether the ratio reaches the target; a ratio that is no number does not."""
        return self.ratio >= self.target

    @property
    def shortfall(self) -> float:
        """The part of the target that is missing, 0 where it is reached: 0.25 for 3x where 4x is wanted."""
        return 0.0 if self.passes else 1 - self.ratio / self.target


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock seconds that one call takes."""
    started_s = time.perf_counter()
    action()
    return time.perf_counter() - started_s


def side_by_side(
    ours: Callable[[], object], theirs: Callable[[], object], repeats: int = 5
) -> tuple[float, float]:
    """Medians in seconds of both calls, run by turns after one warm-up of each.

    The machine's speed drifts while it is measured; by turns, both meet the same drift.
    """
    seconds(ours), seconds(theirs)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    ours_s, theirs_s = zip(*pairs, strict=True)
    return median(ours_s), median(theirs_s)
