"""The review in a browser: by keyboard alone, by dragging, undone, on a phone; and what it refuses."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import WIDTHS_PX, Watched, chromium, overflow_px, watch
from playwright.sync_api import Page
from repository import REPOSITORY
from small_run import small_faces

from fkd.core.errors import UserError
from fkd.deploy.review import Review
from fkd.deploy.review_page import add_review, open_review
from fkd.ensemble.suspect_labels import SuspectLabel
from fkd.experiment.store import Run

SERVE = """
import sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from small_run import small_faces
from fkd.core.keypoints import KAGGLE15
from fkd.deploy.review import Review
from fkd.deploy.review_page import serve_review
from fkd.ensemble.suspect_labels import SuspectLabel
nose = KAGGLE15.names.index("nose_tip")
suspects = [SuspectLabel(row, nose, (50, 60), (40, 60), 2.5, 4.0, True) for row in (3, 5, 7)]
review = Review(suspects, small_faces(), Path(sys.argv[1]))
serve_review(review, int(sys.argv[2]), " DATA=faces", lambda line: print(line, flush=True))
"""


@pytest.fixture(scope="module")
def decisions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("review") / "reviewed.csv"


@pytest.fixture(scope="module")
def served(decisions: Path) -> Iterator[Watched]:
    """The page in a browser, on its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        chromium() as browser,
        subprocess.Popen(
            [sys.executable, "-c", SERVE, decisions, str(port), REPOSITORY / "tests/helpers"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        ) as server,
    ):
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == f"http://127.0.0.1:{port}: look at the labels; Ctrl-C ends\n"
            served = watch(browser.new_page())
            served.page.goto(f"http://127.0.0.1:{port}")
            yield served
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.stdout is not None
            assert (
                "decisions; to learn from them: make train-ensemble DATA=faces FRESH=1 SET="
                in server.stdout.read()
            )
            assert server.wait(timeout=20) == 0


@pytest.fixture
def page(served: Watched, decisions: Path) -> Page:
    """The page anew, with nothing decided."""
    decisions.unlink(missing_ok=True)
    served.page.set_viewport_size({"width": 1440, "height": 1000})
    served.page.reload()
    wait(served.page, 0)
    return served.page


def wait(page: Page, position: int, verdict: str = "") -> None:
    """Until the label at this place is shown, with this verdict."""
    page.wait_for_selector(f".review[data-position='{position}'][data-verdict='{verdict}']")


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_keyboard_alone_is_enough(page: Page, decisions: Path) -> None:
    press(page, "k")
    wait(page, 1)
    press(page, "d")
    wait(page, 2)
    press(page, "ArrowRight", "ArrowRight", "Shift+ArrowUp")
    page.wait_for_selector(".verdict:has-text('Moved to 51.0, 59.9; N shows the next')")
    assert lines(decisions) == ["3,nose_tip,keep,,", "5,nose_tip,drop,,", "7,nose_tip,move,51.00,59.90"]
    assert page.locator(".counts").inner_text() == "1 kept, 1 dropped, 1 moved, 0 undecided"
    press(page, "p")
    page.wait_for_selector(".verdict:has-text('Moved to 40.0, 60.0')")
    press(page, "x")
    wait(page, 2)
    assert len(lines(decisions)) == 2
    press(page, "b", "b")
    wait(page, 0, "keep")
    press(page, "f")
    wait(page, 2)


def test_undo_goes_back_to_the_label(page: Page, decisions: Path) -> None:
    press(page, "d")
    wait(page, 1)
    press(page, "ArrowDown", "ArrowDown")
    page.wait_for_selector(".verdict:has-text('Moved to 50.0, 61.0')")
    press(page, "n", "u")  # both steps of the move
    wait(page, 1)
    assert lines(decisions) == ["3,nose_tip,drop,,"]
    page.get_by_role("button", name="Undo").click()
    wait(page, 0)
    assert lines(decisions) == []


@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_a_label_is_dragged_to_its_place(page: Page, decisions: Path, width_px: int) -> None:
    page.set_viewport_size({"width": width_px, "height": 1000})
    page.reload()
    wait(page, 0)
    picture, ring = page.locator(".face").bounding_box(), page.locator(".mark").bounding_box()
    assert picture is not None
    assert ring is not None
    assert picture["width"] > 0.4 * width_px
    x, y = ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2
    per_px = picture["width"] / 96
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 3 * per_px, y, steps=3)
    page.mouse.move(x - 8 * per_px, y + 6 * per_px, steps=3)
    page.mouse.up()
    wait(page, 0, "move")
    row, keypoint, decision, *moved_px = lines(decisions)[0].split(",")
    assert (row, keypoint, decision) == ("3", "nose_tip", "move")
    assert [float(px) for px in moved_px] == pytest.approx([42, 66], abs=0.1)
    assert page.locator(".way").is_visible(), "a line from where it was"
    press(page, "u")
    wait(page, 0)
    assert lines(decisions) == []


def test_fast_keys_decide_label_by_label(page: Page, decisions: Path) -> None:
    page.evaluate(
        """() => {
            for (const key of ["k", "d", "k", "n"]) {
                document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }))
            }
        }"""
    )
    wait(page, 2, "keep")
    assert lines(decisions) == ["3,nose_tip,keep,,", "5,nose_tip,drop,,", "7,nose_tip,keep,,"]


def test_a_key_in_the_middle_of_a_drag_is_passed_over(page: Page, decisions: Path) -> None:
    ring = page.locator(".mark").bounding_box()
    assert ring is not None
    x, y = ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=3)
    press(page, "k")
    page.mouse.move(x + 4000, y, steps=3)  # and far out of the picture
    page.mouse.up()
    wait(page, 0, "move")
    assert lines(decisions)[0].startswith("3,nose_tip,move,143.50,")


def test_the_page_fits_and_asks_nobody_else(page: Page, served: Watched) -> None:
    for width_px in WIDTHS_PX:
        page.set_viewport_size({"width": width_px, "height": 1000})
        assert overflow_px(page) <= 0
    elsewhere = [address for address in served.addresses if "127.0.0.1" not in address.split("/", 3)[2]]
    assert [address for address in elsewhere if not address.startswith(("data:", "blob:"))] == []
    assert served.problems == []


def test_a_file_that_another_program_damaged_is_reported_and_kept(page: Page, decisions: Path) -> None:
    decisions.write_text("row;keypoint\n")
    press(page, "k")
    page.wait_for_selector(".problem:has-text('values separated by semicolons')")
    assert decisions.read_text() == "row;keypoint\n"
    decisions.unlink()


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (
            {"what": "decide", "position": 0, "label": "ear of row 3"},
            "shows a list that is no longer reviewed",
        ),
        ({"what": "decide", "position": 0, "verdict": "burn"}, "verdict: Input should be 'keep', 'drop'"),
        ({"what": "decide", "position": 0, "verdict": "move"}, "expected a place for a label that is moved"),
        (
            {"what": "decide", "verdict": "move", "moved_px": [1e9, 0]},
            "moved_px.0: Input should be less than",
        ),
        ({"what": "erase"}, "what: Input should be 'first'"),
        ({"what": "show", "position": -1}, "position: Input should be greater"),
        (["first"], "Input should be a valid dictionary"),
    ],
)
def test_wrong_questions_are_answered_in_words(tmp_path: Path, question: Any, words: str) -> None:
    review = Review(
        [SuspectLabel(3, 0, (50, 60), (40, 60), 2.5, 4.0, True)], small_faces(), tmp_path / "r.csv"
    )
    assert words in add_review(review).ask(question)["problem"]
    assert not review.path.exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("decisions.zip", r"^--output: expected a name that ends in \.csv, received "),
        ("nowhere/r.csv", "expected a folder in which files can be written"),
        ("damaged.csv", r"damaged\.csv, line 1, column row: expected it in the header"),
    ],
)
def test_where_decisions_go_is_looked_at_first(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "damaged.csv").write_text("a,b\n")
    with pytest.raises(UserError, match=words):
        open_review(Run(tmp_path), small_faces(), tmp_path / name, print)


def test_decisions_are_for_the_person_at_this_machine(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--data: expected --host 127\.0\.0\.1, .* received 0\.0\.0\.0"):
        open_review(Run(tmp_path), small_faces(), None, print, host="0.0.0.0")
