"""Take the pictures of the pages in docs/ anew, from the run quick-synthetic; `make screenshots`."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from browser import DESK_PX, PHONE_PX, chromium
from PIL import Image
from playwright.sync_api import Browser, Page
from repository import REPOSITORY
from whole_photos import photo_with_faces, write_camera

RESULTS = REPOSITORY / "experiments/results"
FKD = Path(sys.executable).with_name("fkd")
SYNTHETIC = ("--data", "synthetic")


def main() -> None:
    """Write the tops of explore, report, review and demo, on a desk and on a phone, light and dark."""
    before_the_camera = photo_with_faces((480, 640), [(180, 120, 260)], [0])
    with (
        tempfile.TemporaryDirectory() as place,
        chromium(write_camera(Path(place) / "camera.mjpeg", before_the_camera)) as browser,
    ):
        explored = Path(place) / "explore.html"
        subprocess.run([FKD, "explore", "quick", *SYNTHETIC, "--output", explored], check=True)
        subprocess.run([FKD, "report", "quick", *SYNTHETIC], check=True)
        reported = REPOSITORY / "models_store/quick-synthetic/report.html"
        shoot(opened(browser, explored.as_uri()), "explore")
        shoot(opened(browser, explored.as_uri(), PHONE_PX, "dark"), "explore-phone")
        shoot(opened(browser, reported.as_uri(), height_px=600), "report-top")
        shoot(opened(browser, reported.as_uri(), PHONE_PX, "dark"), "report-phone")
        data, errors = (opened(browser, reported.as_uri(), 820, scheme, 1000) for scheme in ("light", "dark"))
        for page, section in ((data, "section-the-data-synthetic"), (errors, "section-errors")):
            page.evaluate(f"document.getElementById('{section}').scrollIntoView()")
        shoot(data, "report-data")
        shoot(errors, "report-errors")
        with served("review", "quick", *SYNTHETIC, "--output", f"{place}/reviewed.csv") as address:
            for name, width_px, scheme in (("review", DESK_PX, "light"), ("review-phone", PHONE_PX, "dark")):
                page = opened(browser, address, width_px, scheme)
                page.wait_for_selector(".review[data-position]")
                shoot(page, name)
        with served("demo", "--run", "quick-synthetic") as address:
            page = opened(browser, address, height_px=1100)
            page.locator("#photo input[type=file]").set_input_files(write_photo(Path(place)))
            page.wait_for_selector("#table [role=gridcell]")
            shoot(page, "demo")
            page = opened(browser, address, PHONE_PX, "dark")
            page.get_by_role("tab", name="Camera").click()
            page.locator(".switch").click()
            page.wait_for_selector(".said:has-text('face')")
            shoot(page, "demo-phone")


def opened(
    browser: Browser, address: str, width_px: int = DESK_PX, scheme: str = "light", height_px: int = 844
) -> Page:
    """A page of this size, light or dark."""
    context = browser.new_context(
        viewport={"width": width_px, "height": height_px}, color_scheme=scheme, permissions=["camera"]
    )
    page = context.new_page()
    page.goto(address)
    return page


def shoot(page: Page, name: str) -> None:
    """Keep what the window shows as a small PNG file."""
    page.wait_for_timeout(2000)  # pictures and transitions
    path = RESULTS / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path).convert("RGB").save(path, optimize=True)
    print(path.relative_to(REPOSITORY))


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """The address of a page that fkd serves meanwhile."""
    with subprocess.Popen([FKD, *arguments, "--port", "7899"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield next(line.partition(": ")[0] for line in server.stdout if line.startswith("http"))
        server.terminate()
        server.communicate()


def write_photo(folder: Path) -> Path:
    """A photo with two drawn faces."""
    path = folder / "photo.png"
    cv2.imwrite(str(path), photo_with_faces((420, 640), [(70, 100, 220), (360, 60, 180)], [0, 3]))
    return path


if __name__ == "__main__":
    main()
