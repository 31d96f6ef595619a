"""Being asked to stop: signals and the cloud's notice raise one flag that the training checks."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# "Temporary failure, try again later" of sysexits.h: tells a supervisor to run the same command again.
EXIT_INTERRUPTED = os.EX_TEMPFAIL


class InterruptedTrainingError(Exception):
    """The training stopped because it was asked to; its text says what was saved and how to go on."""


class StopRequest:
    """A flag that is raised once, with the reason."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def stop(self, reason: str) -> None:
        """Ask for a stop after the batch in hand."""
        self.reason = self.reason or reason


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """SIGTERM and SIGINT raise the flag; a second SIGINT ends the process at once."""
    request = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and request.reason:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        request.stop(signal.Signals(number).name)

    former = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
