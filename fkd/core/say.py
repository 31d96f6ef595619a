"""How a stage reports a line to the person at the terminal, or to whoever listens."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

Say: TypeAlias = Callable[[str], None]

# At most this many members are named one by one in a sentence.
_NAMED = 6


def first_few(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    named, more = ", ".join(names[:_NAMED]), len(names) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
