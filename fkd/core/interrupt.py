"""Being asked to stop: signals and the cloud's notice raise one flag that the training checks.

A signal that nobody hears, because data are read or a network is compiled, ends the process after a few
seconds, as a kill would: what is saved is whole. A member with unsaved batches is given longer.
"""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# "Temporary failure, try again later" of sysexits.h: tells a supervisor to run the same command again.
EXIT_INTERRUPTED = os.EX_TEMPFAIL
# What a shell reports of a program that Ctrl-C ended.
EXIT_SIGINT = 128 + signal.SIGINT

_HEARD_WITHIN_S = 3.0
_SAVED_WITHIN_S = 60.0  # half of a spot machine's notice; a batch of a large network takes seconds
_LOOK_EVERY_S = 0.2


def end_on_sigint() -> None:
    """Let SIGINT end the process with one line: Python's exception for it may be lost in a library."""

    def handle(number: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError, OSError):  # the stream may be in the middle of another line
            sys.stdout.flush()
        os.write(sys.stderr.fileno(), b"fkd: SIGINT: ended; what was saved is whole\n")
        os._exit(EXIT_SIGINT)

    signal.signal(signal.SIGINT, handle)


class InterruptedTrainingError(Exception):
    """The training stopped because it was asked to; its text says what was saved and how to resume."""


class StopRequest:
    """A flag that is raised once, with the reason.

    heard: whether somebody has asked for the reason since there is one, and so is about to stop.
    unsaved: names of members that would lose trained batches.
    """

    def __init__(self) -> None:
        self._reason: str | None = None
        self.heard = False
        self.unsaved: set[str] = set()

    @property
    def reason(self) -> str | None:
        """Why to stop; None while nobody asks for it."""
        self.heard = self._reason is not None
        return self._reason

    def stop(self, reason: str) -> None:
        """Ask for a stop after the current batch."""
        self._reason = self._reason or reason


@contextmanager
def stop_on_signals(heard_within_s: float = _HEARD_WITHIN_S) -> Iterator[StopRequest]:
    """SIGTERM and SIGINT raise the flag; a second SIGINT, or not being heard, ends the process."""
    request, over, signalled_at_s = StopRequest(), threading.Event(), math.inf

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal signalled_at_s
        if number == signal.SIGINT and signalled_at_s < math.inf:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        signalled_at_s = min(signalled_at_s, time.monotonic())
        request.stop(signal.Signals(number).name)

    def watch() -> None:  # a handler must start no thread and take no lock: it may interrupt who does
        while not over.wait(_LOOK_EVERY_S):
            limit_s = _SAVED_WITHIN_S if request.unsaved else heard_within_s
            if time.monotonic() - signalled_at_s > limit_s and not request.heard:
                _end(request)

    former = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    threading.Thread(target=watch, name="stop", daemon=True).start()
    try:
        yield request
    finally:
        over.set()
        for number, handler in former.items():
            signal.signal(number, handler)


def _end(request: StopRequest) -> None:
    done = "ended amid something long; what was saved is whole; run the same command again to go on"
    print(f"fkd: {request.reason}: {done}", file=sys.stderr, flush=True)
    os._exit(EXIT_INTERRUPTED)
