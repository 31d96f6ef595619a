import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fkd.interrupt import StopRequest
from fkd.spot import ENDPOINT_VARIABLE, read_notice, watch_ec2

NOTICE = {"action": "terminate", "time": "2026-11-21T08:22:00Z"}


class Metadata(ThreadingHTTPServer):
    """An instance metadata service (IMDSv2); `answer` is its spot notice, None for none yet."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: str | None = None
        self.asked = 0


class _Handler(BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        wanted = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self._reply(200 if wanted else 400, "the token")

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.headers["X-aws-ec2-metadata-token"] != "the token":
            self._reply(401, "")
        elif self.path != "/latest/meta-data/spot/instance-action" or self.server.answer is None:
            self._reply(404, "")
        else:
            self._reply(200, self.server.answer)

    def _reply(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    with Metadata() as server:
        monkeypatch.setenv(ENDPOINT_VARIABLE, f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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


def test_a_silent_service_is_said_once_and_asked_again(metadata: Metadata):
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
