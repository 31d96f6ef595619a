import io

import pytest
from rich.console import Console

from fkd.runs.engines.relay import Event, Relay, show
from fkd.runs.progress import Progress
from fkd.runs.status import MemberStatus


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the test sets by hand."""
    now_s = [100.0]
    monkeypatch.setattr("fkd.runs.engines.relay.time.monotonic", lambda: now_s[0])
    return now_s


def _passed_on(clock: list[float], batches: int, apart_s: float) -> list[tuple[int, int]]:
    """Number and images of the batch events that an epoch of batches of ten images becomes."""
    events: list[Event] = []
    relay = Relay(events.append)
    relay.start_member("four/00", 0, 0)
    for number in range(1, batches + 1):
        relay.batch("four/00", number, batches, 0.5, 10)
        clock[0] += apart_s
    return [(int(arguments[1]), int(arguments[4])) for method, arguments in events if method == "batch"]


def test_batches_pass_four_times_a_second_with_the_images_since(clock: list[float]):
    # The first, one a quarter of a second later, another, and the epoch's last.
    assert _passed_on(clock, 7, apart_s=0.1) == [(1, 10), (4, 30), (7, 30)]


def test_no_image_of_an_epoch_is_lost(clock: list[float]):
    assert sum(images for _, images in _passed_on(clock, 3, apart_s=0.0)) == 30


def test_what_is_shown_is_what_was_told():
    output = io.StringIO()
    members = [MemberStatus("four/00", "waiting"), MemberStatus("four/01", "waiting")]
    progress = Progress(members, {"four": 60}, {"four": 2}, Console(file=output, width=200))
    relay = Relay(lambda event: show(progress, event))
    relay.say("a line")
    relay.say_once("what others wait for is not passed on")
    relay.start_member("four/00", 1, 3)
    relay.epoch("four/00", 0.5, 2.0, 2.0, 1)
    relay.finish_elsewhere("four/01")
    relay.finish_member("four/00", 2.0, 1)
    lines = output.getvalue().splitlines()
    assert lines[:2] == ["a line", "four/00: resuming after epoch 1, batch 3"]
    assert lines[-1] == "four/00: done, 2.000 px at epoch 1 of 2; 2 of 2 members, ensemble time unknown"
