"""What a worker tells of the members that it trains, on its way to the process that shows it."""

import threading
import time
from collections.abc import Callable

from fkd.training.progress import MemberProgress

# A call of MemberProgress: the method's name and its arguments.
Event = tuple[str, tuple[str | int | float, ...]]

# As often as the live line is drawn anew.
_BATCHES_APART_S = 0.25


class Relay:
    """The MemberProgress of a worker: every call becomes an event, batches only now and then.

    send: takes an event to the process that shows it; called by one thread at a time.
    """

    def __init__(self, send: Callable[[Event], None]) -> None:
        self._send, self._sending = send, threading.Lock()
        self._unsent_images: dict[str, int] = {}
        self._batch_sent_s = 0.0

    def say(self, line: str) -> None:
        """Pass a line on."""
        self._pass_on("say", line)

    def say_once(self, line: str) -> None:
        """Nothing: that one worker waits for another is of no interest to whoever sees them all."""

    def start_member(self, name: str, epoch: int, batch: int) -> None:
        """Pass on that a member begins or resumes."""
        self._unsent_images[name] = 0
        self._pass_on("start_member", name, epoch, batch)

    def batch(self, name: str, number: int, batches: int, loss: float, images: int) -> None:
        """Pass a batch on, with the images of those that were not."""
        self._unsent_images[name] += images
        now_s = time.monotonic()
        if number == batches or now_s - self._batch_sent_s >= _BATCHES_APART_S:
            self._pass_on("batch", name, number, batches, loss, self._unsent_images[name])
            self._unsent_images[name], self._batch_sent_s = 0, now_s

    def epoch(
        self, name: str, loss: float, validation_rmse_px: float, best_rmse_px: float, best_epoch: int
    ) -> None:
        """Pass on that an epoch is trained and validated."""
        self._pass_on("epoch", name, loss, validation_rmse_px, best_rmse_px, best_epoch)

    def finish_member(self, name: str, best_rmse_px: float, best_epoch: int) -> None:
        """Pass on that a member is trained and saved."""
        self._pass_on("finish_member", name, best_rmse_px, best_epoch)

    def finish_elsewhere(self, name: str) -> None:
        """Pass on that another process has finished a member."""
        self._pass_on("finish_elsewhere", name)

    def _pass_on(self, method: str, *arguments: str | int | float) -> None:
        with self._sending:
            self._send((method, arguments))


def show(progress: MemberProgress, event: Event) -> None:
    """Make the call that an event stands for."""
    method, arguments = event
    getattr(progress, method)(*arguments)
