"""The server of a page: addresses that are not this machine's, and uploads that are old.

That a page is served, and that nothing of it stays, is seen in test_demo.py and test_review_page.py.
"""

import os
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from fkd.core.errors import UserError
from fkd.deploy.page_server import import_gradio, remove_old, serve_page


def never_built() -> NoReturn:
    raise AssertionError("the address is looked at first")


def test_old_uploads_are_removed(tmp_path: Path) -> None:
    for name, age_s in (("old", 660), ("new", 0)):
        path = tmp_path / name / "photo.png"
        path.parent.mkdir()
        path.touch()
        os.utime(path, (time.time() - age_s,) * 2)
    remove_old(tmp_path)
    assert [path.name for path in tmp_path.glob("*/*")] == ["photo.png"]
    assert (tmp_path / "new/photo.png").exists()


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1", "a b", "ä" * 100, ""])
def test_a_host_that_is_not_this_machines_asks_for_another_host(host: str) -> None:
    with pytest.raises(UserError, match=r"^--host .* name another --host$"):
        serve_page(never_built, host, 7860, "come in", print)


def test_a_port_in_use_asks_for_another_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"^--port {port}: .*already in use.* name another --port$"):
            serve_page(never_built, "127.0.0.1", port, "come in", print)


def test_without_gradio_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=r"^fkd review: .*run make review$"):
        import_gradio("review")
