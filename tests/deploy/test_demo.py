"""The demo in a browser: a dropped photo comes back with its points; what is too large is reported."""

import base64
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import PHONE_PX, WIDTHS_PX, Watched, chromium, overflow_px, watch
from repository import REPOSITORY
from small_run import small_faces
from tiny_experiment import TINY_EXPERIMENT
from whole_photos import photo_with_faces, write_camera
from written_members import select, write_answering_member

from fkd.core.errors import UserError
from fkd.core.keypoints import KAGGLE15
from fkd.data.synthetic.data_set import draw_synthetic_faces
from fkd.deploy.demo import answer_photo, build_page
from fkd.deploy.page_server import MAX_FILE_BYTES
from fkd.deploy.review import Review
from fkd.ensemble.ensemble import find_run, load_ensemble
from fkd.ensemble.suspect_labels import SuspectLabel
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run, open_run

SERVE = """
import sys
from pathlib import Path
from fkd.deploy.demo import serve
serve(Path(sys.argv[1]), None, "127.0.0.1", int(sys.argv[2]), lambda line: print(line, flush=True))
"""
LEFT_PX, TOP_PX, SIDE_PX = 60, 80, 200  # of the drawn face in the photo
SHIFTS_PX = {"four": (-3, 3), "eleven": (0,)}  # of the members' x, in pixels of a 96 x 96 face
# The finder's square and the drawn one differ by a twentieth of a side, or less.
NEAR_PX = SIDE_PX / 20


def true_points() -> np.ndarray:
    """The drawn face's points in its own 96 x 96 pixels, shape (15, 2)."""
    return draw_synthetic_faces(0, [0], [0], [False])[1][0]


def write_run(store: Path, name: str) -> Run:
    """A selected run whose members answer the drawn face's points, shifted, whatever they see."""
    store.mkdir(exist_ok=True)
    file = store / "tiny.yaml"
    file.write_text(TINY_EXPERIMENT)
    experiment, run = load_experiment(str(file)), Run(store / name)
    open_run(run, experiment, {"data_checksum": "0"})
    for specialist, shifts_px in SHIFTS_PX.items():
        points = true_points()[KAGGLE15.indices(specialist)]
        for index, shift_px in enumerate(shifts_px):
            answer_px = points + np.array([shift_px, 0])
            write_answering_member(run, experiment, specialist, index, answer_px, np.zeros(1))
    select(run, **{name: list(range(len(shifts))) for name, shifts in SHIFTS_PX.items()})
    return run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    former = write_run(store, "former").selection
    os.utime(former, (0, 0))
    write_run(store, "latter")
    return store


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "one.png"
    cv2.imwrite(str(path), photo_with_faces((400, 500), [(LEFT_PX, TOP_PX, SIDE_PX)], [0]))
    return path


@pytest.fixture(scope="module")
def demo(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The page in a browser; when it is closed nothing of the photos is left."""
    uploads = tmp_path_factory.mktemp("uploads")
    picture = photo_with_faces((480, 640), [(LEFT_PX, TOP_PX, SIDE_PX)], [0])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        chromium(camera=write_camera(tmp_path_factory.mktemp("camera") / "camera.mjpeg", picture)) as browser,
        subprocess.Popen(
            [sys.executable, "-c", SERVE, store, str(port)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(uploads), "PYTHONPATH": str(REPOSITORY)},
        ) as server,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            assert server.stdout is not None
            assert server.stdout.readline() == f"{address}: drop a photo; Ctrl-C ends\n"
            demo = watch(browser.new_page(viewport={"width": 1440, "height": 1000}))
            demo.page.goto(address)
            yield demo
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=20) == 0
    assert not list(uploads.iterdir())


def drop(demo: Watched, path: Path) -> None:
    """What a person does with the mouse."""
    demo.page.reload()
    content = base64.b64encode(path.read_bytes()).decode()
    transfer = demo.page.evaluate_handle(
        """async ([content, name]) => {
            const answer = await fetch(`data:image/png;base64,${content}`)
            const transfer = new DataTransfer()
            transfer.items.add(new File([await answer.blob()], name, {type: "image/png"}))
            return transfer
        }""",
        [content, path.name],
    )
    demo.page.locator("#photo button").first.dispatch_event("drop", {"dataTransfer": transfer})


def choose(demo: Watched, path: Path) -> None:
    """What a person does with the file dialog."""
    demo.page.reload()
    demo.page.locator("#photo input[type=file]").set_input_files(path)


COLUMNS = 6  # face, point, x, y, spread, radius


def table_of(demo: Watched) -> list[list[str]]:
    demo.page.wait_for_selector("#drawn img")
    last = len(KAGGLE15.names) - 1
    demo.page.wait_for_selector(f"#table [data-testid=cell-{last}-{COLUMNS - 1}]")
    cells = demo.page.locator("#table [role=gridcell]").all_inner_texts()
    lines = range(0, len(cells), COLUMNS)
    return [[cell.strip() for cell in cells[start : start + COLUMNS]] for start in lines]


def table_cut_px(demo: Watched) -> int:
    """How much of the table's width is out of sight."""
    parts = "[...document.querySelectorAll('#table, #table .virtual-table-viewport, #table .table-wrap')]"
    return demo.page.evaluate(f"Math.max(...{parts}.map(part => part.scrollWidth - part.clientWidth))")


def lines_of_cell(demo: Watched, row: int, column: int) -> int:
    """In how many lines a cell's text stands."""
    return demo.page.evaluate(
        """([row, column]) => {
            const text = document.createRange()
            text.selectNodeContents(document.querySelector(`#table [data-testid=cell-${row}-${column}] span`))
            return new Set([...text.getClientRects()].map(({ top }) => Math.round(top))).size
        }""",
        [row, column],
    )


def test_a_dropped_photo_comes_back_with_points_in_the_right_place(
    demo: Watched, store: Path, photo: Path
) -> None:
    drop(demo, photo)
    demo.page.wait_for_selector("#said:has-text('1 face found')")
    seen = table_of(demo)
    assert [row[:2] for row in seen] == [["1", name.replace("_", " ")] for name in KAGGLE15.names]
    points_px = np.array([row[2:4] for row in seen], float)
    expected_px = (true_points() + 0.5) * SIDE_PX / 96 - 0.5 + (LEFT_PX, TOP_PX)
    assert np.abs(points_px - expected_px).max() < NEAR_PX

    picture, _, rows = answer_photo(load_ensemble(find_run(store, "latter"), lambda line: None), photo)
    assert seen == [[str(value) for value in row] for row in rows]
    source = demo.page.locator("#drawn img").get_attribute("src")
    drawn = cv2.imdecode(np.frombuffer(demo.page.request.get(source).body(), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(drawn[..., ::-1].astype(int) - picture).mean() < 2  # JPEG

    for width_px in WIDTHS_PX:
        demo.page.set_viewport_size({"width": width_px, "height": 1000})
        assert overflow_px(demo.page) <= 0
        assert table_cut_px(demo) <= 0
        drawn_px = demo.page.locator("#drawn img").bounding_box()["width"]
        assert drawn_px > (0.9 if width_px == PHONE_PX else 0.3) * width_px
        assert [lines_of_cell(demo, 0, column) for column in (2, 3, 4)] == [1, 1, 1], "whole numbers"
    elsewhere = [address for address in demo.addresses if "127.0.0.1" not in address.split("/", 3)[2]]
    assert [address for address in elsewhere if not address.startswith(("data:", "blob:"))] == []
    assert demo.problems == []


def test_a_camera_shows_its_faces_with_their_points(demo: Watched) -> None:
    demo.page.get_by_role("tab", name="Camera").click()
    switch = demo.page.locator(".camera .switch")
    switch.click()
    demo.page.wait_for_selector(".camera .said:has-text('1 face, ')")
    for width_px in WIDTHS_PX:
        demo.page.set_viewport_size({"width": width_px, "height": 1000})
        assert overflow_px(demo.page) <= 0
    assert demo.page.locator(".view").bounding_box()["width"] > 0.6 * WIDTHS_PX[-1]
    switch.click()
    # The last picture stays, with green dots on it; the face's own pixels are grey.
    green = demo.page.evaluate(
        """() => {
            const view = document.querySelector(".view")
            const { data } = view.getContext("2d").getImageData(0, 0, view.width, view.height)
            return data.reduce((sum, value, i) => sum + (i % 4 == 1 && value > data[i - 1] + 100), 0)
        }"""
    )
    assert green > 15 * 10, "pixels of fifteen dots"
    assert demo.problems == []


def test_what_is_too_large_or_no_picture_is_reported(demo: Watched, tmp_path: Path) -> None:
    heavy, vast, torn = tmp_path / "heavy.png", tmp_path / "vast.png", tmp_path / "torn.png"
    heavy.write_bytes(bytes(MAX_FILE_BYTES + 1))
    cv2.imwrite(str(vast), np.zeros((5001, 8000), np.uint8))
    torn.write_bytes(vast.read_bytes()[:30])
    for path, message in [
        (heavy, "exceed the maximum allowed size of 20.0 Mb"),
        (vast, "vast.png: expected at most 40 megapixels, received 8000 x 5001"),
        (torn, "torn.png: expected a whole picture"),
    ]:
        choose(demo, path)
        demo.page.wait_for_selector(f".toast-body:has-text('{message}')")
        assert demo.page.locator("#drawn img").count() == 0


def test_runs_can_be_chosen(demo: Watched) -> None:
    demo.page.reload()
    run = demo.page.locator("#run input")
    assert run.input_value() == "latter"  # the last selected
    run.click()
    options = demo.page.locator("[role=option]").all_inner_texts()
    assert sorted(option.split()[-1] for option in options) == ["former", "latter"]


def test_the_server_has_no_other_routes_than_the_page(demo: Watched) -> None:
    """The routes of gradio's that the page uses answer; others do not, of whatever version of gradio."""
    import gradio as gr

    app = gr.routes.App.create_app(gr.Blocks(analytics_enabled=False))
    included = [getattr(route, "original_router", None) for route in app.routes]
    routes = {
        (method, "/" + re.sub(r"{[^}]*}", "x", route.path).lstrip("/"))
        for group in [app, *filter(None, included)]
        for route in group.routes
        for method in getattr(route, "methods", None) or ()
    }
    assert ("POST", "/gradio_api/process_recording") in routes
    address = demo.page.url.rstrip("/")
    answers = {
        (method, path): demo.page.request.fetch(address + path, method=method, max_redirects=0).status
        for method, path in routes
    }
    assert {method_and_path for method_and_path, status in answers.items() if status != 404} == {
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/theme.css"),
        ("GET", "/favicon.ico"),
        ("GET", "/gradio_api/startup-events"),
        ("GET", "/gradio_api/upload_progress"),
        ("GET", "/gradio_api/queue/data"),
        ("POST", "/gradio_api/component_server/"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/upload"),
    }


def test_the_spread_is_in_pixels_of_the_photo(store: Path, photo: Path) -> None:
    _, sentence, rows = answer_photo(load_ensemble(find_run(store, None), lambda line: None), photo)
    spreads_px = np.array([float(row[4]) for row in rows])
    # Two members three pixels to either side deviate by three pixels; one member by none.
    np.testing.assert_allclose(spreads_px[KAGGLE15.indices("four")], 3 * SIDE_PX / 96, rtol=0.1)
    assert np.all(spreads_px[KAGGLE15.indices("eleven")] == 0)
    assert "1 face found in" in sentence
    assert "(members: 2 four + 1 eleven)" in sentence


def test_a_photo_without_a_face_is_no_error(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((100, 3200), 128, np.uint8))
    picture, sentence, rows = answer_photo(load_ensemble(find_run(store, None), lambda line: None), path)
    assert picture.shape == (50, 1600, 3)  # a large picture is shown smaller
    assert sentence.startswith("No face found in")
    assert rows == []


def test_a_file_that_went_round_the_page_is_refused_too(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "heavy.png"
    path.write_bytes(bytes(MAX_FILE_BYTES + 2**20))
    ensemble = load_ensemble(find_run(store, None), lambda line: None)
    with pytest.raises(UserError, match=r"^heavy\.png: expected at most 20 MB, received 21\.0 MB"):
        answer_photo(ensemble, path)


def test_without_gradio_one_line_says_what_to_install(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match="run make demo"):
        build_page(store, None)


def test_labels_are_reviewed_on_a_tab_of_the_same_page(store: Path, tmp_path: Path) -> None:
    suspect = SuspectLabel(3, 0, (50, 60), (40, 60), 2.5, 4.0, True)
    review = Review([suspect], small_faces(), tmp_path / "reviewed.csv")
    blocks = build_page(store, None, review).blocks.values()
    assert [block.label for block in blocks if block.get_block_name() == "tabitem"] == [
        "Photo",
        "Camera",
        "Labels",
    ]
    assert "review" in [block.elem_id for block in blocks]
    assert "review" not in [block.elem_id for block in build_page(store, None).blocks.values()]
