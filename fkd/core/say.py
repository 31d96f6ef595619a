"""How a stage reports a line to the person at the terminal, or to whoever listens."""

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

Say: TypeAlias = Callable[[str], None]

# At most this many members are named one by one in a sentence.
_NAMED = 6
_TOLD_EVERY_S = 10.0


def first_few(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    named, more = ", ".join(names[:_NAMED]), len(names) - _NAMED
    return f"{named} and {more} more" if more > 0 else named


class TimeLeft:
    """Says every ten seconds how far a long piece of work is, and how long the rest takes.

    total: of the work, as it is counted; it may be an estimate. words: how much is done, in words.
    """

    def __init__(self, total: int, words: Callable[[int], str], say: Say) -> None:
        self._total, self._words, self._say = total, words, say
        self._began_s = self._told_s = time.monotonic()

    def __call__(self, done: int) -> None:
        """So much is done."""
        now_s = time.monotonic()
        if now_s - self._told_s >= _TOLD_EVERY_S:
            self._told_s = now_s
            left_s = max(0.0, (now_s - self._began_s) * (self._total - done) / done)
            self._say(f"{self._words(done)}, {left_s:.0f} s left")
