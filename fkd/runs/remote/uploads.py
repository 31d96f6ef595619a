"""A background thread that works off a queue of folders, and retries forever."""

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from fkd.core.say import Say
from fkd.runs.remote.object_store import describe

Folder = TypeVar("Folder")
# A thread that hangs in a request is a daemon and need not be waited for.
_JOIN_S = 1.0


@dataclass(frozen=True)
class Patience:
    """How often a failing store is tried again, and how often that is reported."""

    first_retry_s: float = 1.0
    longest_retry_s: float = 60.0
    say_every_s: float = 60.0
    read_attempts: int = 3

    def delay_s(self, failures: int) -> float:
        """Exponential in the failures so far, with jitter so that machines do not come all at once."""
        # The limit keeps the power finite.
        longest_s = min(self.longest_retry_s, self.first_retry_s * 2.0 ** min(failures - 1, 32))
        return longest_s * random.uniform(0.5, 1.0)


class Uploads(Generic[Folder]):
    """Folders waiting for upload; each is uploaded once more after the last time it was added."""

    def __init__(self, upload: Callable[[Folder], None], say: Say, patience: Patience) -> None:
        self._upload, self._say, self._patience = upload, say, patience
        self._changed = threading.Condition()
        # Folder -> since when it waits; in the order of upload.
        self._waiting: dict[Folder, float] = {}
        self._uploading: dict[Folder, float] = {}
        self._error = ""
        self._said_s = -math.inf
        self._said_behind = False
        self._closing, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="uploads", daemon=True)
        self._thread.start()

    def add(self, folder: Folder) -> None:
        """Queue a folder, unless it is waiting already; returns at once."""
        with self._changed:
            self._waiting.setdefault(folder, time.monotonic())
            self._changed.notify_all()
        if self._oldest_s() >= self._patience.say_every_s:
            self._say_behind()

    def behind(self) -> str | None:
        """How much has not arrived, for how long and why; None when all has."""
        with self._changed:
            folders, error = len(self._pending()), self._error
        if not folders:
            return None
        reason = f" ({error})" if error else ""
        return f"remote store: {folders} folder(s) behind, the oldest for {self._oldest_s():.0f} s{reason}"

    def close(self, timeout_s: float | None) -> list[Folder]:
        """Wait until all has arrived, at most that long, and end the thread; returns what has not arrived."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._pending(), timeout_s)
            left = list(self._pending())
        self._ended.set()
        self._thread.join(_JOIN_S)
        return left

    def _pending(self) -> dict[Folder, float]:
        return self._waiting | self._uploading

    def _oldest_s(self) -> float:
        """For how long the oldest has been waiting."""
        with self._changed:
            now_s = time.monotonic()
            return now_s - min(self._pending().values(), default=now_s)

    def _work(self) -> None:
        failures = 0
        while self._take_next():
            (folder,) = self._uploading
            try:
                self._upload(folder)
            # A remote store raises much more than OSError, and none of it may end this thread.
            except Exception as error:
                failures += 1
                self._put_back(describe(error))
                self._wait(failures)
            else:
                failures = 0
                self._arrived()

    def _take_next(self) -> bool:
        """Move the first waiting folder to those uploading; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            if self._ended.is_set() or not self._waiting:
                return False
            folder = next(iter(self._waiting))
            self._uploading[folder] = self._waiting.pop(folder)
            return True

    def _put_back(self, error: str) -> None:
        with self._changed:
            self._error = error
            self._waiting = self._uploading | self._waiting | self._uploading
            self._uploading = {}
        self._say_behind()

    def _arrived(self) -> None:
        with self._changed:
            self._uploading, self._error = {}, ""
            caught_up = self._said_behind and not self._waiting
            self._said_behind = self._said_behind and not caught_up
            self._changed.notify_all()
        if caught_up:
            self._say("remote store: everything has arrived")

    def _wait(self, failures: int) -> None:
        if self._closing.is_set():
            self._ended.wait(self._patience.first_retry_s)  # somebody is waiting
        else:
            self._closing.wait(self._patience.delay_s(failures))

    def _say_behind(self) -> None:
        line = self.behind()
        with self._changed:
            now_s = time.monotonic()
            if not line or now_s - self._said_s < self._patience.say_every_s:
                return
            self._said_s, self._said_behind = now_s, True
        self._say(f"{line}; trying again")
