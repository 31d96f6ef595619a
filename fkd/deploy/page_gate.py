"""What the server of a page lets in: its own routes, and whole requests of a bounded size and time."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from fkd.core.errors import one_line

# The words of ASGI: https://asgi.readthedocs.io
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_API = "/gradio_api"
_READ = {
    *("/", "/theme.css", "/favicon.ico", f"{_API}/upload_progress", f"{_API}/queue/data"),
    f"{_API}/startup-events",  # what gradio asks itself
}
_READ_BELOW = ("/assets/", "/static/")
_UPLOAD = f"{_API}/upload"
_QUESTIONS = (f"{_API}/queue/join", f"{_API}/component_server/")
_QUESTION_BYTES = 2**16
_AROUND_A_FILE_BYTES = 2**16  # the lines that part and name the files of an upload
_ARRIVES_S = 60.0
_ARRIVING_BYTES = 2**28
_LEAST_FREE_BYTES = 2**28  # of the disk


class Gate:
    """ASGI middleware before the page: it knows no other routes, and hands on only requests that are whole.

    So an upload that breaks off leaves no file, and a slow one holds up nobody.

    uploads: the folder whose files are served. file_bytes: the most that an upload may hold. arriving_bytes:
    the most that all requests may hold at once. arrives_s: how long one may take to arrive. hosts: names by
    which the page may be asked, None for any.
    """

    def __init__(
        self,
        app: App,
        uploads: Path,
        file_bytes: int,
        arriving_bytes: int = _ARRIVING_BYTES,
        arrives_s: float = _ARRIVES_S,
        hosts: Collection[str] | None = None,
    ) -> None:
        self._app, self._uploads, self._hosts = app, uploads, hosts
        self._most_arriving_bytes, self._arrives_s = arriving_bytes, arrives_s
        self._most_bytes = {
            _UPLOAD: file_bytes + _AROUND_A_FILE_BYTES,
            **dict.fromkeys(_QUESTIONS, _QUESTION_BYTES),
        }
        self._arriving_bytes = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close"})
        elif scope["method"] in ("GET", "HEAD") and self._serves(scope["path"]):
            await self._app(scope, receive, send)
        elif self._is_of_another_site(dict(scope["headers"])):
            await _refuse(send, 403, "this page takes nothing from others")
        elif scope["method"] == "POST" and scope["path"] in self._most_bytes:
            await self._let_in(scope, receive, send)
        else:
            await _refuse(send, 404, "no part of this page")

    def _serves(self, path: str) -> bool:
        own_files = f"{_API}/file={self._uploads}/"
        return path in _READ or path.startswith((*_READ_BELOW, own_files))

    def _is_of_another_site(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether another site's page sends this, also under a name of its own for this machine."""
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if self._hosts is not None and urlsplit(f"//{host.decode('latin-1')}").hostname not in self._hosts:
            return True
        if origin is not None and origin.partition(b"://")[2] != host:
            return True
        return headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none")

    async def _let_in(self, scope: Message, receive: Receive, send: Send) -> None:
        body = bytearray()
        try:
            async with asyncio.timeout(self._arrives_s):
                await self._gather(body, self._most_bytes[scope["path"]], receive)
        except TimeoutError:
            await _refuse(send, 408, f"not here within {self._arrives_s:g} s; send a smaller photo")
        except _RefusedError as refusal:
            await _refuse(send, *refusal.args)
        except _BrokenOffError:
            pass  # nobody waits for an answer
        else:
            await self._answer(scope, _replay(bytes(body), receive), send)
        finally:
            self._arriving_bytes -= len(body)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        """Hand on; a question that gradio fails at, such as of a part that it lacks, is refused in words."""
        begun = False

        async def begin(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, begin)
        except Exception as error:
            if begun:
                raise
            await _refuse(
                send, 400, f"this page cannot answer that ({type(error).__name__}: {one_line(error)})"
            )

    async def _gather(self, body: bytearray, most_bytes: int, receive: Receive) -> None:
        """Fill `body` with all of a request's."""
        if shutil.disk_usage(self._uploads).free < _LEAST_FREE_BYTES:
            raise _RefusedError(507, "the disk is full; try again in ten minutes")
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _BrokenOffError
            part = message.get("body", b"")
            body += part
            self._arriving_bytes += len(part)
            if len(body) > most_bytes:
                raise _RefusedError(413, f"expected at most {most_bytes} bytes; shrink the photo first")
            if self._arriving_bytes > self._most_arriving_bytes:
                raise _RefusedError(503, "too many uploads at once; try again in a minute")
            if not message.get("more_body"):
                return


class _RefusedError(Exception):
    """HTTP's status and what is wrong with the request."""


class _BrokenOffError(Exception):
    """The other side has gone."""


def _replay(body: bytes, receive: Receive) -> Receive:
    """What receives a body that is here already, and then what else comes."""
    coming = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        return next(coming, None) or await receive()

    return replay


async def _refuse(send: Send, status: int, problem: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{problem}\n".encode()})
