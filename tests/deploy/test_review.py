"""A review: what it shows, keeps, takes back, and finds again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import small_faces

from fkd.core.errors import UserError
from fkd.core.keypoints import KAGGLE15
from fkd.data.label_decisions import Decision, Verdict
from fkd.deploy.review import Review
from fkd.ensemble.suspect_labels import SuspectLabel

NOSE, MOUTH = KAGGLE15.names.index("nose_tip"), KAGGLE15.names.index("mouth_left_corner")
SUSPECTS = [
    SuspectLabel(3, NOSE, (50, 60), (40, 60), 2.5, 4.0, True),
    SuspectLabel(3, MOUTH, (30, 60), (30, 66), 2.0, 3.0, True),
    SuspectLabel(5, NOSE, (20, 60), (20, 64), 2.0, 2.0, False),
]
KEEP, DROP = Decision(Verdict.KEEP), Decision(Verdict.DROP)
LABELS = ("nose_tip of row 3", "mouth_left_corner of row 3", "nose_tip of row 5")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reviewed.csv"


@pytest.fixture
def review(path: Path) -> Review:
    return Review(SUSPECTS, small_faces(), path)


def move(x_px: float, y_px: float = 60.0) -> Decision:
    return Decision(Verdict.MOVE, (x_px, y_px))


def decide(review: Review, position: int, decision: Decision | None, page: str = "page") -> dict[str, Any]:
    return review.decide(page, position, LABELS[position], decision)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]


def test_a_label_is_shown_with_its_face(review: Review) -> None:
    item = review.show(0)
    assert (item["keypoint"], item["row"], item["count"]) == ("nose tip", 3, 3)
    assert (item["distance_px"], item["is_unseen"], item["verdict"]) == (10, True, None)
    others_px = np.delete(small_faces().training.keypoints[3], NOSE, axis=0)
    np.testing.assert_array_equal(item["others_px"], others_px)
    assert item["picture"].startswith("data:image/png;base64,")
    assert review.show(99)["position"] == 2, "beyond the last, the last"


def test_each_decision_is_written_at_once(review: Review, path: Path) -> None:
    decide(review, 0, KEEP)
    assert lines(path) == ["3,nose_tip,keep,,"]
    decide(review, 2, move(21.0, 63.5))
    item = decide(review, 1, DROP)
    assert lines(path) == ["3,nose_tip,keep,,", "3,mouth_left_corner,drop,,", "5,nose_tip,move,21.00,63.50"]
    assert (item["verdict"], item["verdicts"]) == ("drop", {"keep": 1, "drop": 1, "move": 1})
    decide(review, 1, None)
    assert len(lines(path)) == review.decided == 2


def test_undo_goes_back_decision_by_decision(review: Review, path: Path) -> None:
    decide(review, 0, DROP)
    decide(review, 0, KEEP)
    for x_px in (51.0, 52.0, 53.00123):  # steps of one move
        decide(review, 1, move(x_px))
    assert review.undo("page")["position"] == 1
    assert lines(path) == ["3,nose_tip,keep,,"]
    assert (review.undo("page")["verdict"], review.undo("page")["verdict"]) == ("drop", None)
    assert lines(path) == []
    with pytest.raises(UserError, match="nothing is left to undo"):
        review.undo("page")


def test_a_review_goes_on_where_it_was(review: Review, path: Path) -> None:
    decide(review, 0, KEEP)
    with path.open("a") as file:
        file.write("11,nose_tip,drop,,\n")  # by hand, of a label that is none of these
    again = Review(SUSPECTS, small_faces(), path)
    assert again.first()["position"] == 1
    decide(again, 1, DROP)
    assert decide(review, 2, KEEP)["verdicts"] == {"keep": 2, "drop": 1, "move": 0}, "two pages, one file"
    assert again.first()["position"] == 0, "all are decided on"
    assert len(lines(path)) == 4


def test_a_damaged_file_is_never_written_over(review: Review, path: Path) -> None:
    path.write_text("row,keypoint,decision,x_px,y_px\n3,nose_tip,perhaps,,\n")
    with pytest.raises(UserError, match="line 2, column decision: expected one of keep, drop, move"):
        decide(review, 0, KEEP)
    with pytest.raises(UserError, match="line 2"):
        Review(SUSPECTS, small_faces(), path)
    assert "perhaps" in path.read_text()


def test_nothing_to_look_at_is_one_line(path: Path) -> None:
    with pytest.raises(UserError, match="no label lies outside its radius"):
        Review([], small_faces(), path)


def test_a_decision_lands_on_the_label_that_the_page_shows(review: Review, path: Path) -> None:
    with pytest.raises(UserError, match="shows a list that is no longer reviewed here; reload it"):
        review.decide("page", 0, LABELS[2], KEEP)
    assert not path.exists()


def test_a_page_takes_back_its_own_decisions_and_no_others(review: Review, path: Path) -> None:
    decide(review, 0, KEEP, page="one")
    decide(review, 2, DROP, page="two")
    assert review.undo("one")["position"] == 0
    assert lines(path) == ["5,nose_tip,drop,,"]
    path.write_text(path.read_text().replace("drop,,", "move,12,13"))  # by hand
    with pytest.raises(UserError, match="nose_tip of row 5 has been changed elsewhere since, so it stays"):
        review.undo("two")
    assert lines(path) == ["5,nose_tip,move,12,13"]


def test_what_changes_nothing_needs_no_undo_and_a_look_elsewhere_ends_a_move(review: Review) -> None:
    decide(review, 0, None)
    decide(review, 0, KEEP)
    decide(review, 0, KEEP)
    decide(review, 1, move(31.0))
    review.show(0)
    decide(review, 1, move(32.0))
    assert review.undo("page")["moved_px"] == (31.0, 60.0)
    assert review.undo("page")["verdict"] is None
    assert review.undo("page")["position"] == 0
    with pytest.raises(UserError, match="nothing is left to undo"):
        review.undo("page")


def test_processes_that_share_a_file_lose_nothing(path: Path) -> None:
    reviews = [Review(SUSPECTS, small_faces(), path) for _ in range(3)]
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda position: decide(reviews[position], position, KEEP), range(3)))
    assert len(lines(path)) == 3


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere.csv")
    decide(Review(SUSPECTS, small_faces(), path), 0, KEEP)
    assert path.is_symlink()
    assert lines(tmp_path / "elsewhere.csv") == ["3,nose_tip,keep,,"]
