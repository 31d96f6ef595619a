from types import SimpleNamespace

import pytest

from fkd.core import say
from fkd.core.say import TimeLeft, first_few


def test_six_are_named_and_the_others_counted():
    assert first_few(["a"]) == "a"
    assert first_few(list("abcdef")) == "a, b, c, d, e, f"
    assert first_few(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"


def test_how_long_is_left_is_told_every_ten_seconds(monkeypatch: pytest.MonkeyPatch):
    clock, said = iter([0.0, 6.0, 12.0, 18.0, 24.0]), list[str]()
    monkeypatch.setattr(say, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    tell = TimeLeft(8, lambda done: f"{done} of 8", said.append)
    for done in (1, 2, 3, 12):
        tell(done)
    assert said == ["2 of 8, 36 s left", "12 of 8, 0 s left"], "an estimate may have been too low"
