"""Decisions on labels: there and back, the same bytes in whatever order, and wrong lines named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkd.core.errors import UserError
from fkd.data.label_decisions import Decision, Verdict, holds_decisions, read_decisions, write_decisions

NAMES = ("left_eye", "nose", "mouth")
ROWS = 30
HUNDREDTHS = st.integers(-9600, 19200).map(lambda hundredth: hundredth / 100)
DECISIONS = st.one_of(
    st.sampled_from([Decision(Verdict.KEEP), Decision(Verdict.DROP)]),
    st.tuples(HUNDREDTHS, HUNDREDTHS).map(lambda moved_px: Decision(Verdict.MOVE, moved_px)),
)
LABELS = st.tuples(st.integers(0, ROWS - 1), st.integers(0, 2))


@given(decisions=st.dictionaries(LABELS, DECISIONS))
def test_there_and_back(tmp_path_factory: pytest.TempPathFactory, decisions: dict[tuple[int, int], Decision]):
    path = tmp_path_factory.getbasetemp() / "reviewed.csv"
    write_decisions(path, decisions, NAMES)
    content = path.read_bytes()
    assert read_decisions(path, NAMES, ROWS) == decisions
    assert holds_decisions(path)
    write_decisions(path, dict(reversed(decisions.items())), NAMES)
    assert path.read_bytes() == content


def test_a_person_can_read_the_file(tmp_path: Path):
    path = tmp_path / "reviewed.csv"
    moved = Decision(Verdict.MOVE, (40.25, 61.0))
    write_decisions(
        path, {(7, 1): moved, (3, 2): Decision(Verdict.DROP), (3, 0): Decision(Verdict.KEEP)}, NAMES
    )
    assert path.read_text() == (
        "row,keypoint,decision,x_px,y_px\n3,left_eye,keep,,\n3,mouth,drop,,\n7,nose,move,40.25,61.00\n"
    )


def test_a_column_that_would_be_lost_is_refused_before_it_is_rewritten(tmp_path: Path):
    path = tmp_path / "reviewed.csv"
    path.write_text("row,keypoint,decision,x_px,y_px,note\n3,mouth,keep,,,a smile\n")
    assert read_decisions(path, NAMES, ROWS) == {(3, 2): Decision(Verdict.KEEP)}
    with pytest.raises(
        UserError, match=r"expected the columns row, .* alone, received 'note' too, .* take it out$"
    ):
        read_decisions(path, NAMES, ROWS, to_rewrite=True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("30,nose,keep,,", "column row: expected a training row from 0 to 29, received '30'"),
        ("3,noes,keep,,", "column keypoint: expected a keypoint of the schema such as nose"),
        ("3,nose,remove,,", "column decision: expected one of keep, drop, move"),
        ("3,nose,move,4,", "column y_px: expected a number of pixels, as the label is moved"),
        ("3,nose,move,nan,4", "column x_px: expected a number of pixels, as the label is moved"),
        ("3,nose,move,1e9,4", "column x_px: expected a number of pixels from -96 to 192"),
        ("3,mouth,drop,,", "column row: expected each label once, received mouth of row 3 again"),
        ("3,nose,keep", "expected 5 values on the line"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, words: str):
    path = tmp_path / "reviewed.csv"
    path.write_text(f"row,keypoint,decision,x_px,y_px\n3,mouth,keep,,\n{line}\n")
    with pytest.raises(UserError, match=rf"^{path}, line 3, .*{words}"):
        read_decisions(path, NAMES, ROWS)
