"""A report in a browser: nothing goes wrong, every figure shows something, and it fits a phone and a desk."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import WIDTHS_PX, chromium, overflow_px, watch
from PIL import Image
from playwright.sync_api import Browser
from small_run import small_faces, write_run

from fkd.core.keypoints import KAGGLE15
from fkd.report.figures.augmentation_figures import augmentation_section
from fkd.report.figures.data_figures import data_section
from fkd.report.page import page_html
from fkd.report.run_record import read_run
from fkd.report.run_sections import report_sections
from fkd.report.summary import summary

THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """The address of a run's whole report and the names of its figures."""
    folder, faces = tmp_path_factory.mktemp("report"), small_faces()
    record = read_run(write_run(folder, faces), faces)
    sections = [
        data_section(faces, KAGGLE15),
        augmentation_section(faces, record.experiment),
        *report_sections(record, faces, np.full((4, 15, 2), 50.0)),
    ]
    page = folder / "report.html"
    page.write_text(page_html("tiny-faces", sections, summary(record, faces)), encoding="utf-8")
    return page.as_uri(), [figure.name for section in sections for figure in section.figures]


@pytest.mark.parametrize("width_px", WIDTHS_PX)
@pytest.mark.parametrize("theme", THEMES)
def test_a_report_opens_and_fits(
    browser: Browser, report: tuple[str, list[str]], theme: str, width_px: int
) -> None:
    address, names = report
    page = browser.new_page(viewport={"width": width_px, "height": 900}, color_scheme=theme)
    watched = watch(page)
    page.goto(address)
    shown = page.evaluate("[...document.querySelectorAll('figure')].map(f => f.id)")
    assert shown == names
    wrong = page.evaluate(
        """[...document.images].filter(image => {
            const {width, height} = image.getBoundingClientRect()
            return !(image.complete && image.naturalWidth > 0 && width >= 200 && height >= 50)
        }).map(image => image.alt)"""
    )
    assert wrong == []
    assert overflow_px(page) <= 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = np.mean([int(part) for part in background.strip("rgb()").split(",")])
    assert brightness > 230 if theme == "light" else brightness < 50
    assert [url for url in watched.addresses if not url.startswith("data:")] == [address]
    assert watched.problems == []
    page.close()


@pytest.mark.parametrize("theme", THEMES)
def test_no_figure_is_empty(browser: Browser, report: tuple[str, list[str]], theme: str) -> None:
    """As painted: a picture of one colour, or one that is all ground, would be empty."""
    address, names = report
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=theme)
    page.goto(address)
    for name in names:
        painted = Image.open(io.BytesIO(page.locator(f"#{name} img").screenshot())).convert("RGB")
        colours = sorted(painted.getcolors(painted.width * painted.height) or [], reverse=True)
        drawn = 1 - colours[0][0] / (painted.width * painted.height)
        assert len(colours) > 2, name
        assert drawn > 0.01, name
    page.close()


def test_a_page_that_goes_wrong_is_noticed(browser: Browser, tmp_path: Path) -> None:
    """The checks above can fail: a script's error, a missing picture and a line that is too wide are seen."""
    broken = tmp_path / "broken.html"
    broken.write_text(
        '<meta name="viewport" content="width=device-width"><body style="margin:0">'
        '<script>throw Error("torn")</script><img src="absent.png"><div style="width:500px">wide</div>'
    )
    page = browser.new_page(viewport={"width": 390, "height": 900})
    watched = watch(page)
    page.goto(broken.as_uri())
    assert "torn" in watched.problems
    assert any("absent.png" in url for url in watched.addresses)
    assert overflow_px(page) == 110
    page.close()
