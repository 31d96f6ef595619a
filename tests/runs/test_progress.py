import io

import pytest
from rich.console import Console

from fkd.runs.progress import Progress
from fkd.runs.status import MemberStatus

MEMBERS = [
    MemberStatus("four/00", "done", epochs=10),
    MemberStatus("four/01", "waiting"),
    MemberStatus("eleven/00", "waiting"),
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the test sets by hand."""
    now_s = [100.0]
    monkeypatch.setattr("fkd.runs.progress.time.monotonic", lambda: now_s[0])
    return now_s


def _progress(terminal: bool) -> tuple[Progress, io.StringIO]:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=300)
    return Progress(MEMBERS, {"four": 600, "eleven": 100}, {"four": 30, "eleven": 30}, console), output


def test_a_plain_line_tells_epoch_loss_error_speed_and_time_left(clock: list[float]):
    progress, output = _progress(terminal=False)
    with progress.shown():
        progress.start_member("four/01", 0, 0)
        clock[0] += 10
        progress.batch("four/01", 1, 1, loss=0.25, images=600)
        progress.epoch("four/01", 0.25, validation_rmse_px=3.0, best_rmse_px=3.0, best_epoch=1)
    # 60 images/s; a finished peer took 10 epochs, so 9 x 600 images are left here and 30 x 100 of eleven.
    assert output.getvalue() == (
        "four/01 epoch 1/30 loss 0.25000, validation 3.000 px (best 3.000 @ 1), 60 images/s; "
        "member 1 min left, ensemble 2 min left\n"
    )


def test_plain_lines_come_at_most_every_ten_seconds(clock: list[float]):
    progress, output = _progress(terminal=False)
    progress.start_member("four/01", 0, 0)
    for _ in range(25):
        clock[0] += 1
        progress.batch("four/01", 1, 1, 0.25, 600)
        progress.epoch("four/01", 0.25, 3.0, 3.0, 1)
    assert len(output.getvalue().splitlines()) == 3


def test_a_resumed_member_and_a_finished_one_are_reported(clock: list[float]):
    progress, output = _progress(terminal=False)
    progress.start_member("four/01", 7, 2)
    progress.finish_member("four/01", best_rmse_px=1.25, best_epoch=5)
    assert output.getvalue().splitlines() == [
        "four/01: resuming after epoch 7, batch 2",
        "four/01: done, 1.250 px at epoch 5 of 7; 2 of 3 members, ensemble time unknown",
    ]


def test_a_terminal_shows_the_batch_in_hand(clock: list[float]):
    progress, output = _progress(terminal=True)
    with progress.shown():
        progress.start_member("eleven/00", 0, 0)
        clock[0] += 1
        progress.batch("eleven/00", 3, 8, loss=0.5, images=10)
    assert "eleven/00 epoch 1/30 batch 3/8 loss 0.50000, 10 images/s" in output.getvalue()


def test_members_trained_at_once_add_up_to_one_speed(clock: list[float]):
    progress, output = _progress(terminal=False)
    for name in ("four/01", "eleven/00"):
        progress.start_member(name, 0, 0)
    clock[0] += 2
    for name in ("four/01", "eleven/00"):  # 100 images each in one step of two seconds
        progress.batch(name, 1, 1, 0.25, 100)
    progress.epoch("eleven/00", 0.25, 3.0, 3.0, 1)
    # The former batch counts for 0.95 of what it was.
    assert f"eleven/00 epoch 1/30 loss 0.25000, validation 3.000 px (best 3.000 @ 1), {195 / 1.9:.0f}" in (
        output.getvalue()
    )
