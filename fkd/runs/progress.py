"""What a person sees while members train: a live line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fkd.runs.status import MemberStatus

# In a log file a line every so often is enough; a member's first and last lines always appear.
_PLAIN_INTERVAL_S = 10.0
# What a batch counts for in the speed once the next one is trained.
_SPEED_MEMORY = 0.95


class Progress:
    """Follows the training of an ensemble and says how long it will take.

    images_per_epoch, max_epochs: training images and the last epoch, by specialist.
    """

    def __init__(
        self,
        members: Sequence[MemberStatus],
        images_per_epoch: Mapping[str, int],
        max_epochs: Mapping[str, int],
        console: Console,
    ) -> None:
        self._epochs = {member.name: member.epochs for member in members}
        self._done = {member.name for member in members if member.state == "done"}
        self._training: set[str] = set()
        self._images_per_epoch = images_per_epoch
        self._max_epochs = max_epochs
        self._console = console
        self._live = Live(console=console, transient=True, refresh_per_second=4)
        self._said_once = ""
        self._validations: dict[str, str] = {}
        # Recent images and seconds; the batches of members trained at once come in one moment.
        self._recent_images = self._recent_seconds = 0.0
        self._last_batch_s = 0.0
        self._last_plain_s = 0.0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the live line for as long as the context is open."""
        if not self._console.is_terminal:
            yield
            return
        with self._live:
            yield

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(line, markup=False)

    def say_once(self, line: str) -> None:
        """Print a line unless it is the one that was printed so last."""
        if line != self._said_once:
            self.say(line)
        self._said_once = line

    def start_member(self, name: str, epoch: int, batch: int) -> None:
        """A member begins, or resumes after this many epochs and batches of the next one."""
        self._epochs[name], self._validations[name] = epoch, ""
        if not self._training:
            self._last_batch_s = time.monotonic()
        self._training.add(name)
        self._last_plain_s = 0.0
        if epoch or batch:
            self.say(f"{name}: resuming after epoch {epoch}, batch {batch}")

    def batch(self, name: str, number: int, batches: int, loss: float, images: int) -> None:
        """A member is trained on one more batch; `loss` is the epoch's mean so far."""
        now_s = time.monotonic()
        self._recent_images = _SPEED_MEMORY * self._recent_images + images
        self._recent_seconds = _SPEED_MEMORY * self._recent_seconds + now_s - self._last_batch_s
        self._last_batch_s = now_s
        if self._console.is_terminal:
            line = self._line(name, self._epochs[name] + 1, f"batch {number}/{batches} loss {loss:.5f}")
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"))

    def epoch(
        self, name: str, loss: float, validation_rmse_px: float, best_rmse_px: float, best_epoch: int
    ) -> None:
        """A member is trained for one more epoch and validated."""
        self._epochs[name] += 1
        self._validations[name] = (
            f", validation {validation_rmse_px:.3f} px (best {best_rmse_px:.3f} @ {best_epoch})"
        )
        now_s = time.monotonic()
        if not self._console.is_terminal and now_s - self._last_plain_s > _PLAIN_INTERVAL_S:
            self._last_plain_s = now_s
            self.say(self._line(name, self._epochs[name], f"loss {loss:.5f}"))

    def finish_member(self, name: str, best_rmse_px: float, best_epoch: int) -> None:
        """A member is trained and saved."""
        self._training.discard(name)
        self._done.add(name)
        self.say(
            f"{name}: done, {best_rmse_px:.3f} px at epoch {best_epoch} of {self._epochs[name]}; "
            f"{len(self._done)} of {len(self._epochs)} members, {self._ensemble_left()}"
        )

    def finish_elsewhere(self, name: str) -> None:
        """Another process has finished the member."""
        self._done.add(name)

    def _line(self, name: str, epoch: int, middle: str) -> str:
        return (
            f"{name} epoch {epoch}/{self._max_epochs[_specialist(name)]} "
            f"{middle}{self._validations[name]}, "
            f"{self._images_per_second:.0f} images/s; "
            f"member {self._duration(self._images_left(name) * len(self._training))}, {self._ensemble_left()}"
        )

    @property
    def _images_per_second(self) -> float:
        """Of all members together; 0 while nothing is known."""
        return self._recent_images / max(self._recent_seconds, 1e-6)

    def _ensemble_left(self) -> str:
        return f"ensemble {self._duration(sum(self._images_left(name) for name in self._epochs))}"

    def _images_left(self, name: str) -> float:
        """Images until the member ends, judged by its specialist's finished members, else by the limit."""
        if name in self._done:
            return 0.0
        specialist = _specialist(name)
        peers = [self._epochs[peer] for peer in self._done if peer.startswith(f"{specialist}/")]
        epochs = sum(peers) / len(peers) if peers else self._max_epochs[specialist]
        return max(epochs - self._epochs[name], 0.0) * self._images_per_epoch[specialist]

    def _duration(self, images: float) -> str:
        if not self._images_per_second:
            return "time unknown"
        seconds = int(images / self._images_per_second)
        hours, minutes = seconds // 3600, seconds % 3600 // 60
        if hours:
            return f"{hours} h {minutes:02d} min left"
        return f"{minutes} min left" if minutes else f"{seconds} s left"


def _specialist(member: str) -> str:
    return member.partition("/")[0]
