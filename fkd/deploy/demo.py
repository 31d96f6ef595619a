"""A page on this machine: drop a photo or use the webcam, see the points of its faces. It keeps nothing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from html import escape
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.core.say import Say
from fkd.data.face_finder import find_faces_in_photo
from fkd.data.photos import MAX_MEGAPIXELS, read_photo
from fkd.deploy.camera import add_camera
from fkd.deploy.page_server import MAX_FILE_BYTES, MB, import_gradio, serve_page
from fkd.deploy.photos import FacePoints, count_faces, draw_on_photo, predict_squares
from fkd.deploy.review import Review
from fkd.deploy.review_page import add_review
from fkd.ensemble.ensemble import Ensemble, find_run, load_ensemble
from fkd.experiment.store import Run, runs_in
from fkd.runs.status import finished_members

if TYPE_CHECKING:
    import gradio as gr
    from gradio.data_classes import ImageData

_HEADERS = ("face", "point", "x", "y", "spread", "radius")
# On a phone, too, all columns are seen.
_WIDTHS = ("12%", "24%", "16%", "16%", "16%", "16%")
_CSS = """@media (max-width: 600px) {
  #table table { font-size: 11px; }
  #table th { font-size: 10px; }
  #table th, #table td, #table .cell-wrap { padding: 2px 3px; }
  #table td * { overflow-wrap: normal !important; word-break: normal !important; }
  #table .header-content, #table .header-button { padding: 0; white-space: normal; overflow: visible; }
}"""
_LEAST_PICTURE_PX = 240  # so that on a phone one is below the other
_LONGEST_SHOWN_PX = 1600  # a larger picture takes seconds to send and shows no more
_RUNS_IN_MEMORY = 2

_ABOUT = f"""# Points of faces
Drop a photo, paste one, or use the webcam: at most {MAX_FILE_BYTES // MB} MB and {MAX_MEGAPIXELS}
megapixels. Photos stay on the machine that runs this page and are deleted. All lengths are in pixels of the
photo. The spread is the standard deviation of the members' points: where it is large, the members disagree.
The radius, drawn as a circle, holds the true point in nine cases of ten, for faces like those that the run
was validated on. Where most radii are large, the square is red: it is probably no face."""

Row = tuple[int, str, str, str, str, str]
Answer = tuple[npt.NDArray[np.uint8] | None, str, list[Row]]


def serve(store: Path, run: str | None, host: str, port: int, say: Say, review: Review | None = None) -> None:
    """Show the page at http://host:port until SIGINT or SIGTERM, with a review of labels where there is one.

    Raises UserError without gradio, for a run that cannot predict, and as `serve_page` does.
    """
    serve_page(lambda: build_page(store, run, review), host, port, "drop a photo", say, _CSS)


def build_page(store: Path, run: str | None, review: Review | None = None) -> "gr.Blocks":
    """The page; a run of the store can be chosen, at first the named one or the last selected.

    Its uploads go to the folder GRADIO_TEMP_DIR. Raises UserError without gradio, and if the first run has no
    members that can predict.
    """
    gr = import_gradio("demo")
    first = find_run(store, run)
    runs = {_name(store, other): other for other in [first, *_runs_that_predict(store)]}
    load = lru_cache(_RUNS_IN_MEMORY)(_load)
    load(first)
    lock = Lock()  # an ensemble is for one thread at a time

    def load_by_name(name: str) -> Ensemble:
        if name not in runs:
            raise UserError(f"expected the name of a run, received {name!r:.100}")
        return load(runs[name])

    def answer(upload: str | None, name: str) -> Answer:
        try:
            with lock:
                return answer_photo(load_by_name(name), Path(upload)) if upload else (None, "", [])
        except UserError as error:
            raise gr.Error(escape(str(error), quote=False), duration=None, print_exception=False) from error

    with gr.Blocks(title="fkd: points of faces", analytics_enabled=False) as page:
        gr.Markdown(_ABOUT)
        chosen = gr.Dropdown(list(runs), value=_name(store, first), label="Run", elem_id="run")
        with gr.Tab("Photo"):
            _add_photo(chosen, answer)
        with gr.Tab("Camera"):
            camera = add_camera(load_by_name, _name(store, first), lock)
        if review is not None:
            with gr.Tab("Labels"):
                add_review(review)
        chosen.change(lambda name: name, chosen, camera, api_visibility="private")
    return page


def _add_photo(chosen: "gr.Dropdown", answer: Callable[[str | None, str], Answer]) -> None:
    """Put what answers a photo into the page that is being built."""
    import gradio as gr

    with gr.Row():
        photo = gr.Image(
            label="Photo",
            min_width=_LEAST_PICTURE_PX,
            type="filepath",
            sources=["upload", "webcam", "clipboard"],
            webcam_options=gr.WebcamOptions(mirror=False),  # a mirrored face has its left eye on the right
            buttons=[],
            elem_id="photo",
        )
        # Gradio's own opens the file with any reader that Pillow has; read_photo is choosier.
        photo.preprocess = _path_of_upload  # type: ignore[method-assign]
        drawn = gr.Image(
            label="Points",
            min_width=_LEAST_PICTURE_PX,
            interactive=False,
            format="jpeg",
            buttons=["fullscreen"],
            elem_id="drawn",
        )
    said = gr.Markdown(elem_id="said")
    table = gr.Dataframe(
        headers=list(_HEADERS),
        column_widths=list(_WIDTHS),
        wrap=True,
        max_height=1000,  # of all points of a face
        interactive=False,
        buttons=["copy"],
        elem_id="table",
    )
    gr.on(
        [photo.change, chosen.change],
        answer,
        inputs=[photo, chosen],
        outputs=[drawn, said, table],
        api_visibility="private",
    )


def answer_photo(ensemble: Ensemble, path: Path) -> Answer:
    """A photo with its points as RGB, a sentence with counts and times, and the table's rows.

    Points that no specialist predicts are left out of the table. Raises UserError, naming the file without
    its folder, for one over 20 MB or 40 megapixels and for one that is no picture.
    """
    try:
        _check_bytes(path)
        photo = read_photo(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), path.name)) from error
    began_s = time.perf_counter()
    squares = find_faces_in_photo(photo.grey)
    found_s = time.perf_counter()
    faces = predict_squares(ensemble, photo, squares)
    predicted_s = time.perf_counter()
    rows = _rows(faces, ensemble.experiment.schema_points.names)
    return (
        _shrunk(draw_on_photo(photo, faces)),
        _sentence(ensemble, faces, found_s - began_s, predicted_s - found_s),
        rows,
    )


def _path_of_upload(payload: "ImageData | None") -> str | None:
    return payload.path if payload else None


def _runs_that_predict(store: Path) -> list[Run]:
    """Runs with a finished member; those whose experiment cannot be read are passed over."""
    able = []
    for run in runs_in(store):
        try:
            experiment = run.read_experiment()
        except UserError:
            continue
        if any(finished_members(run, experiment, specialist)[0] for specialist in experiment.specialists):
            able.append(run)
    return able


def _name(store: Path, run: Run) -> str:
    return run.path.relative_to(store).as_posix()


def _load(run: Run) -> Ensemble:
    """The run's ensemble, its networks traced, so that the first photo does not wait for that."""
    loaded = load_ensemble(run, lambda line: None)
    once = loaded.experiment.prediction.model_copy(update={"views": 1})  # a webcam waits for no more
    ensemble = replace(loaded, experiment=loaded.experiment.model_copy(update={"prediction": once}))
    ensemble.predict(np.zeros((1, IMAGE_SIZE_PX, IMAGE_SIZE_PX), np.uint8))
    return ensemble


def _check_bytes(path: Path) -> None:
    if path.is_file() and (received := path.stat().st_size) > MAX_FILE_BYTES:
        raise UserError(
            f"{path}: expected at most {MAX_FILE_BYTES // MB} MB, received {received / MB:.1f} MB; "
            "shrink the photo first"
        )


def _rows(faces: Sequence[FacePoints], names: Sequence[str]) -> list[Row]:
    rows = []
    for number, face in enumerate(faces, start=1):
        values = np.column_stack([face.points_px, face.spread_px, face.radius_px]).tolist()
        for name, (x, y, spread, radius) in zip(names, values, strict=True):
            if not np.isnan((x, y)).any():
                known = "" if np.isnan(radius) else f"{radius:.2f}"
                words = name.replace("_", " ")  # which can be broken
                rows.append((number, words, f"{x:.1f}", f"{y:.1f}", f"{spread:.2f}", known))
    return rows


def _sentence(ensemble: Ensemble, faces: Sequence[FacePoints], finding_s: float, predicting_s: float) -> str:
    finding = f"found in {1000 * finding_s:.0f} ms"
    if not faces:
        return f"No face {finding}; a face seen from the front, upright and not too small is found best."
    members = " + ".join(f"{len(set(chosen))} {name}" for name, chosen in ensemble.chosen.items())
    return f"{count_faces(faces)} {finding}, predicted in {1000 * predicting_s:.0f} ms (members: {members})."


def _shrunk(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = picture.shape[:2]
    shrunk = min(1.0, _LONGEST_SHOWN_PX / max(height, width))
    size = max(1, round(width * shrunk)), max(1, round(height * shrunk))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
