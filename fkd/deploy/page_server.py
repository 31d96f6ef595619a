"""A page of gradio on this machine until it is stopped: nothing is fetched, and no upload stays."""

import errno
import os
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from fkd.core.errors import UserError, first_problem
from fkd.core.interrupt import stop_on_signals
from fkd.core.say import Say
from fkd.deploy.page_gate import Gate

if TYPE_CHECKING:
    import gradio as gr
    from starlette.middleware import Middleware

MB = 2**20
MAX_FILE_BYTES = 20 * MB
# Uploads live for ten minutes, so that another run can be tried on the same photo; the end deletes all.
_LOOK_FOR_OLD_UPLOADS_S, _UPLOAD_LIVES_S = 60, 600
# A phone's width belongs to the pictures.
_CSS = """@media (max-width: 600px) {
  .gradio-container .main { padding: 12px !important; }
  .html-container { padding-inline: 0 !important; }
}
"""
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_PARTS = ("html", "css", "js")
_FONTS = ("system-ui", "sans-serif")  # those of the reader's system: none are fetched


def import_gradio(verb: str) -> ModuleType:
    """Gradio, told to report to nobody; raises UserError without it, naming the verb that wants it."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    try:
        import gradio
    except ImportError as error:
        raise UserError(f"fkd {verb}: expected the package gradio, received none; run make {verb}") from error
    return gradio


def page_part(name: str, answer: Callable[[Any], dict[str, Any]], value: str = "") -> "gr.HTML":
    """A part of the page that is being built, from NAME.html, .css and .js beside this module.

    answer: takes what the script asks by `server.ask`, and gives what it is to show; with a UserError or a
    pydantic ValidationError the script gets its words as `problem`.
    """

    import gradio as gr

    def ask(question: Any) -> dict[str, Any]:  # gradio calls it by its name, with one value
        try:
            return answer(question)
        except ValidationError as error:
            return {"problem": f"expected what the page asks, received {first_problem(error)}"}
        except UserError as error:
            return {"problem": str(error)}

    template, css, script = (Path(__file__).with_name(f"{name}.{kind}").read_text() for kind in _PARTS)
    return gr.HTML(
        value=value,
        html_template=template,
        css_template=css,
        js_on_load=script,
        server_functions=[ask],
        elem_id=name,
    )


def serve_page(
    build: "Callable[[], gr.Blocks]", host: str, port: int, invitation: str, say: Say, css: str = ""
) -> None:
    """Show a page at http://host:port until SIGINT or SIGTERM; uploaded files are gone afterwards.

    build: called once the folder of uploads is known. Raises UserError as it does, for a host that is not
    this machine's, and for a port that is taken.
    """
    host = host.strip("[]")
    _check_address(host, port)
    address = f"[{host}]" if ":" in host else host  # IPv6
    with stop_on_signals() as stop, tempfile.TemporaryDirectory(prefix="fkd-page-") as folder:
        uploads = Path(folder).resolve()
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        page = build()
        try:
            page.launch(
                server_name=address,
                server_port=port,
                share=False,
                max_file_size=MAX_FILE_BYTES,
                app_kwargs={"middleware": [_gate(uploads, host)]},
                theme=_theme(),
                css=css,
                head=f"<style>{_CSS}</style>",  # gradio keeps css to the parts within these margins
                footer_links=[],
                run_history=False,  # the browser's own record of photos and results
                enable_monitoring=False,
                ssr_mode=False,
                mcp_server=False,
                pwa=False,
                prevent_thread_lock=True,
                quiet=True,
            )
        except OSError as error:
            raise UserError(
                f"--host {host} --port {port}: expected a free port of this machine, received one that "
                "cannot be opened; name another --port"
            ) from error
        say(f"http://{address}:{port}: {invitation}; Ctrl-C ends")
        looked_s = time.monotonic()
        while not stop.reason:
            time.sleep(0.2)
            if time.monotonic() - looked_s > _LOOK_FOR_OLD_UPLOADS_S:
                remove_old(uploads)
                looked_s = time.monotonic()
        page.close(verbose=False)


def remove_old(uploads: Path) -> None:
    """Remove files of ten minutes ago, also those that gradio has forgotten, such as of a refused name."""
    for path in uploads.rglob("*"):
        with suppress(OSError):  # it has just been moved
            if path.is_file() and time.time() - path.stat().st_mtime > _UPLOAD_LIVES_S:
                path.unlink()


def _check_address(host: str, port: int) -> None:
    """Gradio takes every failure for a port in use, and does not look at this host's."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except (OSError, UnicodeError) as error:
        if isinstance(error, UnicodeError | socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise UserError(
                f"--host {host}: expected a name or an address of this machine, such as 127.0.0.1, received "
                "one that is not; name another --host"
            ) from error
        raise UserError(
            f"--port {port}: expected a port of {host} that can be opened, received one that cannot "
            f"({os.strerror(error.errno or 0)}); name another --port"
        ) from error


def _gate(uploads: Path, host: str) -> "Middleware":
    from starlette.middleware import Middleware  # gradio brings it

    hosts = THIS_MACHINE if host in THIS_MACHINE else None
    return Middleware(Gate, uploads=uploads, file_bytes=MAX_FILE_BYTES, hosts=hosts)


def _theme() -> "gr.themes.Base":
    import gradio as gr

    return gr.themes.Default(font=_FONTS, font_mono=("ui-monospace", "monospace"))
