"""What the gate of a page hands on, and what it refuses."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fkd.deploy.page_gate import Gate

UPLOAD, QUESTION = "/gradio_api/upload", "/gradio_api/queue/join"
FILE_BYTES = 1000
MOST_BYTES = FILE_BYTES + 2**16  # with the lines around the file
CUT_OFF = {"type": "http.disconnect"}


class Page:
    """In the place of gradio: takes note of the bodies that it gets, and answers 200."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.bodies.append((await receive())["body"] if scope["method"] == "POST" else b"")
        await send({"type": "http.response.start", "status": 200})


async def ask(
    gate: Gate, method: str, path: str, *messages: Any, then_nothing: bool = False, **headers: str
) -> int | None:
    """The status of the answer to a request that arrives in these messages; None where there is no answer.

    headers: as a browser sends them, with _ for -.
    """
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    coming = iter(messages)
    sent: list[Any] = []

    async def receive() -> Any:
        if message := next(coming, None):
            return message
        assert then_nothing, "nobody asks for more than there is"
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await gate({"type": "http", "method": method, "path": path, "headers": named}, receive, send)
    return sent[0]["status"] if sent else None


def part(size: int, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": bytes(size), "more_body": more}


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def gate(page: Page, tmp_path: Path) -> Gate:
    return Gate(page, tmp_path, FILE_BYTES, arriving_bytes=MOST_BYTES + 100)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/assets/index.js", 200),
        ("GET", "/gradio_api/queue/data", 200),
        ("GET", "/gradio_api/file={uploads}/a/photo.png", 200),
        ("GET", "/gradio_api/file={uploads}-of-others/photo.png", 404),
        ("GET", "/gradio_api/file=/etc/passwd", 404),
        ("GET", "/gradio_api/file=http://127.0.0.1/", 404),
        ("GET", "/gradio_api/proxy=http://127.0.0.1/", 404),
        ("GET", UPLOAD, 404),
        ("POST", "/", 404),
        ("POST", "/gradio_api/process_recording", 404),  # it would leave a file in the system's folder
        ("POST", "/gradio_api/vibe-edit", 404),
        ("DELETE", UPLOAD, 404),
    ],
)
def test_only_the_routes_of_the_page(
    gate: Gate, page: Page, tmp_path: Path, method: str, path: str, status: int
) -> None:
    assert asyncio.run(ask(gate, method, path.format(uploads=tmp_path))) == status
    assert len(page.bodies) == (status == 200)


def test_pages_of_other_sites_send_nothing(gate: Gate, page: Page) -> None:
    for path in (UPLOAD, QUESTION, "/gradio_api/component_server/"):
        assert asyncio.run(ask(gate, "POST", path, part(9), sec_fetch_site="cross-site")) == 403
        assert asyncio.run(ask(gate, "POST", path, part(9), host="a:80", origin="http://b:80")) == 403
        assert asyncio.run(ask(gate, "POST", path, part(9), host="a:80", origin="http://a:80")) == 200
    assert page.bodies == [bytes(9)] * 3
    assert asyncio.run(ask(gate, "GET", "/", sec_fetch_site="cross-site")) == 200, "a link may lead here"


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:7860", 200), ("[::1]:7860", 200), ("evil.example:7860", 403), ("", 403)]
)
def test_this_machines_page_is_asked_by_this_machines_names(
    page: Page, tmp_path: Path, host: str, status: int
) -> None:
    gate = Gate(page, tmp_path, FILE_BYTES, hosts=("127.0.0.1", "localhost", "::1"))
    assert asyncio.run(ask(gate, "POST", QUESTION, part(9), host=host)) == status


def test_a_request_is_handed_on_whole(gate: Gate, page: Page) -> None:
    assert asyncio.run(ask(gate, "POST", UPLOAD, part(600, more=True), part(400))) == 200
    assert page.bodies == [bytes(1000)]


def test_what_the_page_fails_at_is_refused_in_words(tmp_path: Path) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == QUESTION:
            await send({"type": "http.response.start", "status": 200})
        raise KeyError(99)

    gate = Gate(fail, tmp_path, FILE_BYTES)
    assert asyncio.run(ask(gate, "POST", "/gradio_api/component_server/", part(9))) == 400
    with pytest.raises(KeyError):
        asyncio.run(ask(gate, "POST", QUESTION, part(9)))  # its answer has begun


def test_what_is_cut_off_never_reaches_the_page(gate: Gate, page: Page) -> None:
    assert asyncio.run(ask(gate, "POST", UPLOAD, part(600, more=True), CUT_OFF)) is None
    assert page.bodies == []


@pytest.mark.parametrize(("path", "most_bytes"), [(UPLOAD, MOST_BYTES), (QUESTION, 2**16)])
def test_what_is_too_large_is_refused_before_all_of_it_is_here(
    gate: Gate, page: Page, path: str, most_bytes: int
) -> None:
    assert asyncio.run(ask(gate, "POST", path, part(most_bytes, more=True), part(1, more=True))) == 413
    assert page.bodies == []
    assert asyncio.run(ask(gate, "POST", path, part(most_bytes, more=True), part(0))) == 200


def test_what_is_too_slow_is_refused(page: Page, tmp_path: Path) -> None:
    gate = Gate(page, tmp_path, FILE_BYTES, arrives_s=0.01)
    assert asyncio.run(ask(gate, "POST", UPLOAD, part(600, more=True), then_nothing=True)) == 408
    assert page.bodies == []


def test_a_slow_one_holds_up_nobody_and_many_large_ones_are_refused(gate: Gate, page: Page) -> None:
    async def beside_a_slow_one(held_bytes: int, size: int) -> int | None:
        slow = asyncio.create_task(ask(gate, "POST", UPLOAD, part(held_bytes, more=True), then_nothing=True))
        await asyncio.sleep(0)  # until it waits
        status = await ask(gate, "POST", UPLOAD, part(size))
        slow.cancel()
        await asyncio.wait([slow])
        return status

    assert asyncio.run(beside_a_slow_one(100, MOST_BYTES)) == 200
    assert asyncio.run(beside_a_slow_one(101, MOST_BYTES)) == 503
    # What a request held is free again, however it ended.
    assert asyncio.run(beside_a_slow_one(100, MOST_BYTES)) == 200
    assert page.bodies == [bytes(MOST_BYTES)] * 2


def test_a_full_disk_is_said(gate: Gate, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2**27}))
    assert asyncio.run(ask(gate, "POST", UPLOAD, part(10))) == 507
    assert page.bodies == []
