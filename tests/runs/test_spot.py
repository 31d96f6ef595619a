import json
import time

import pytest
from metadata_service import NOTICE, Metadata

from fkd.core.interrupt import StopRequest
from fkd.runs.spot import read_notice, watch_ec2


def _until(true, seconds: float = 10.0) -> bool:
    deadline_s = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline_s:
        time.sleep(0.005)
    return bool(true())


def test_a_notice_raises_the_flag(metadata: Metadata):
    stop, said = StopRequest(), []
    with watch_ec2(stop, said.append, poll_interval_s=0.01):
        assert _until(lambda: metadata.asked >= 3)
        assert stop.reason is None
        metadata.answer = json.dumps(NOTICE)
        assert _until(lambda: stop.reason)
    assert stop.reason == "EC2 spot notice (terminate at 2026-11-21T08:22:00Z)"
    assert said == []


def test_a_silent_service_is_reported_once_and_asked_again(metadata: Metadata):
    stop, said = StopRequest(), []
    metadata.answer = "no JSON"
    with watch_ec2(stop, said.append, poll_interval_s=0.01):
        assert _until(lambda: metadata.asked >= 3)
        assert len(said) == 1
        metadata.answer = json.dumps(NOTICE)
        assert _until(lambda: stop.reason)


def test_an_answer_of_another_form_is_refused(metadata: Metadata):
    metadata.answer = "[]"
    with pytest.raises(ValueError, match="expected an action and its time, received"):
        read_notice(f"http://127.0.0.1:{metadata.server_port}")


def test_nobody_there():
    with pytest.raises(OSError, match="refused"):
        read_notice("http://127.0.0.1:1")
