"""The page of a review, in the browser of this machine alone, and what it may ask."""

import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fkd.core.errors import UserError
from fkd.core.files import is_there
from fkd.core.keypoints import LABEL_RANGE_PX
from fkd.core.say import Say
from fkd.data.faces import FaceData
from fkd.data.label_decisions import Decision, Verdict, read_decisions
from fkd.deploy.page_server import THIS_MACHINE, import_gradio, page_part, serve_page
from fkd.deploy.review import Review
from fkd.ensemble.suspect_labels import suspect_labels
from fkd.experiment.store import Run

if TYPE_CHECKING:
    import gradio as gr

_HERE = "127.0.0.1"

Answer = dict[str, Any]
_Coordinate = Annotated[float, Field(ge=LABEL_RANGE_PX[0], le=LABEL_RANGE_PX[1], allow_inf_nan=False)]


class _Question(BaseModel):
    """What the page asks of a label in the list; verdict: None takes a decision back.

    page: any name that the page gives itself. label: what it shows, so that no other label is decided on.
    """

    model_config = ConfigDict(extra="forbid")

    what: Literal["first", "show", "decide", "undo"]
    page: str = Field("", max_length=40)
    position: int = Field(0, ge=0)
    label: str = Field("", max_length=1000)
    verdict: Verdict | None = None
    moved_px: tuple[_Coordinate, _Coordinate] | None = None

    def answer(self, review: Review) -> Answer:
        """The label to show now; raises UserError as the review does, and for a move without a place."""
        if (self.verdict == Verdict.MOVE) != (self.moved_px is not None):
            raise UserError("expected a place for a label that is moved, and for no other")
        if self.what == "first":
            return review.first()
        if self.what == "show":
            return review.show(self.position)
        if self.what == "undo":
            return review.undo(self.page)
        decision = None if self.verdict is None else Decision(self.verdict, self.moved_px)
        return review.decide(self.page, self.position, self.label, decision)


def open_review(run: Run, faces: FaceData, path: Path | None, say: Say, host: str = _HERE) -> Review:
    """The review of a run's labels; path: of the CSV of decisions, None for `reviewed-<data>.csv` here.

    Raises UserError for a host that others reach, as decisions are for the person at this machine, without
    gradio, and as `suspect_labels` and `Review` do.
    """
    if host.strip("[]") not in THIS_MACHINE:
        raise UserError(f"--data: expected --host {_HERE}, as labels are reviewed there, received {host}")
    import_gradio("review")  # this and the path before minutes are spent
    path = path or Path(f"reviewed-{faces.name}.csv")
    _check_path(path, faces)
    review = Review(suspect_labels(run, faces, say), faces, path)
    goes_on = f"; it goes on after {review.decided:,} decisions" if review.decided else ""
    say(f"{path}: each decision is written here at once{goes_on}")
    return review


def _check_path(path: Path, faces: FaceData) -> None:
    """Raise UserError where decisions could not be kept, or not be read again."""
    if path.suffix != ".csv":
        raise UserError(f"--output: expected a name that ends in .csv, received {path}; name another file")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise UserError(
            f"--output {path}: expected a folder in which files can be written, received {path.parent}; "
            "make it, or name another file"
        )
    if is_there(path):
        read_decisions(path, faces.point_names, len(faces.training.ids), to_rewrite=True)


def serve_review(review: Review, port: int, make_words: str, say: Say) -> None:
    """Show a review on this machine until SIGINT or SIGTERM; raises UserError as `serve_page` does.

    make_words: what asks make for the run that is reviewed.
    """

    def build() -> "gr.Blocks":
        gradio = import_gradio("review")
        with gradio.Blocks(title="fkd: review of labels", analytics_enabled=False) as page:
            add_review(review)
        return page

    serve_page(build, _HERE, port, "look at the labels", say)
    say(
        f"{review.path}: {review.decided:,} decisions; to learn from them: make train-ensemble{make_words} "
        f"FRESH=1 SET=reviewed_labels={review.path}"
    )


def add_review(review: Review) -> "gr.HTML":
    """Put a review into the page that is being built."""
    lock = Lock()

    def answer(question: Any) -> Answer:
        asked = _Question.model_validate(question)
        with lock:
            return asked.answer(review)

    return page_part("review", answer)
