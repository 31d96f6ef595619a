"""selection.json: today's form to the byte, and back."""

from pathlib import Path

import pytest

from fkd.core.errors import UserError
from fkd.ensemble.selection import Estimate, MemberScore, SelectionReport
from fkd.ensemble.selection_file import read_chosen, read_selection, write_selection
from fkd.experiment.store import Run

REPORT = SelectionReport(
    specialist="four",
    policy="greedy",
    members=(MemberScore(0, 1.25, 2),),
    chosen=(0, 0),
    best_single=Estimate(1.0, None),
    average_of_all=Estimate(1.5, 2.5),
    average_of_chosen=Estimate(1.0, 2.0),
)
# As fkd has written it from the beginning: older runs must open, and older programs read it.
TEXT = """[
 {
  "specialist": "four",
  "policy": "greedy",
  "members": [
   {
    "index": 0,
    "rmse_px": 1.25,
    "weight": 2
   }
  ],
  "chosen": [
   0,
   0
  ],
  "best_single": {
   "in_sample_px": 1.0,
   "honest_px": null
  },
  "average_of_all": {
   "in_sample_px": 1.5,
   "honest_px": 2.5
  },
  "average_of_chosen": {
   "in_sample_px": 1.0,
   "honest_px": 2.0
  }
 }
]
"""


def test_the_form_stays(tmp_path: Path):
    run = Run(tmp_path)
    write_selection(run, [REPORT])
    assert run.selection.read_text() == TEXT
    assert read_selection(run) == {"four": REPORT}
    assert read_chosen(run) == {"four": [0, 0]}


def test_nothing_selected(tmp_path: Path):
    assert read_selection(Run(tmp_path)) == {}
    assert read_chosen(Run(tmp_path)) == {}


@pytest.mark.parametrize("content", ["", "[1]", '{"four": 1}', "1", TEXT.replace("honest_px", "other_px")])
def test_another_file_is_one_line(tmp_path: Path, content: str):
    run = Run(tmp_path)
    run.selection.write_text(content)
    with pytest.raises(UserError, match=r"^[^\n]*selection\.json: expected what fkd select writes[^\n]*$"):
        read_selection(run)
