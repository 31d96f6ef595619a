"""Debian's Chromium, driven by Playwright, for tests of pages as people see them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS_PX = PHONE_PX, DESK_PX = 390, 1440
_FLAGS = (
    "--no-sandbox",  # Chromium refuses to be run by root with one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_CAMERA_FLAGS = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


@dataclass(frozen=True)
class Watched:
    """A page, with what went wrong on it and where it asked for what, as both come up."""

    page: Page
    problems: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


@contextmanager
def chromium(camera: Path | None = None) -> Iterator[Browser]:
    """A browser without a window; skips the test where there is none. camera: a film (MJPEG) in its place."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no browser: install Debian's package chromium")
    flags = [*_FLAGS, *_CAMERA_FLAGS, f"--use-file-for-fake-video-capture={camera}"] if camera else _FLAGS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


def watch(page: Page) -> Watched:
    """Note the page's errors and requests from now on."""
    watched = Watched(page)
    page.on("pageerror", lambda error: watched.problems.append(str(error)))
    page.on("console", lambda message: message.type == "error" and watched.problems.append(message.text))
    page.on("request", lambda request: watched.addresses.append(request.url))
    return watched


def overflow_px(page: Page) -> int:
    """How far a page reaches beyond its window to the right."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
