"""How a stage reports a line to the person at the terminal, or to whoever listens."""

from collections.abc import Callable
from typing import TypeAlias

Say: TypeAlias = Callable[[str], None]
