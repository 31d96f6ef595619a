"""selection.json: there and back, and as earlier versions wrote it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fkd.core.errors import UserError
from fkd.ensemble.selection import Estimate, MemberScore, SelectionReport
from fkd.ensemble.selection_file import read_selection, write_selection
from fkd.ensemble.stacking import Stack
from fkd.experiment.records import DamagedRecordError
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
# As fkd wrote it before records had a checksum: older runs must open.
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


def test_there_and_back_and_as_before(tmp_path: Path):
    run = Run(tmp_path)
    write_selection(run, [REPORT])
    assert read_selection(run) == {"four": REPORT}
    run.selection.write_text(TEXT)
    assert read_selection(run) == {"four": REPORT}


def test_a_stack_comes_back_with_its_weights_and_without_one_of_them_is_refused(tmp_path: Path):
    run, members = Run(tmp_path), (MemberScore(0, 1.25, 1), MemberScore(2, 1.5, 1))
    weights = np.array([[0.75, 0.5], [0.25, 0.5]])
    write_selection(run, [replace(REPORT, policy="stack", members=members, chosen=Stack((0, 2), weights))])
    back = read_selection(run)["four"].chosen
    assert isinstance(back, Stack)
    assert (back, back.weights.tolist()) == ((0, 2), weights.tolist())
    [record] = json.loads(run.selection.read_text())["specialists"]
    run.selection.write_text(json.dumps([record | {"weights": [[0.75, 0.5], [0.25]]}]))
    with pytest.raises(DamagedRecordError, match="a chosen member has not one weight a point"):
        read_selection(run)


def test_members_that_predict_no_numbers(tmp_path: Path):
    worth = Estimate(math.nan, None)
    report = replace(REPORT, members=(MemberScore(0, math.nan, 2),), best_single=worth)
    write_selection(Run(tmp_path), [report])
    back = read_selection(Run(tmp_path))["four"]
    assert math.isnan(back.members[0].rmse_px)
    assert math.isnan(back.best_single.in_sample_px)


@pytest.mark.parametrize(("former", "latter"), [('"index": 0', '"index": 1'), ('"weight": 2', '"weight": 1')])
def test_another_choice_than_was_written_is_refused(tmp_path: Path, former: str, latter: str):
    run = Run(tmp_path)
    write_selection(run, [REPORT])
    changed = run.selection.read_text().replace(former, latter)
    run.selection.write_text(changed)
    with pytest.raises(DamagedRecordError, match=r"selection\.json: .*match their checksum; run fkd select"):
        read_selection(run)
    run.selection.write_text(TEXT.replace(former, latter))
    with pytest.raises(DamagedRecordError, match=r"the chosen members are not those with a weight"):
        read_selection(run)


def test_nothing_selected(tmp_path: Path):
    assert read_selection(Run(tmp_path)) == {}


@pytest.mark.parametrize("content", ["", "[1]", '{"four": 1}', "1", TEXT.replace("honest_px", "other_px")])
def test_another_file_is_one_line(tmp_path: Path, content: str):
    run = Run(tmp_path)
    run.selection.write_text(content)
    with pytest.raises(UserError, match=r"^[^\n]*selection\.json: expected what fkd select writes[^\n]*$"):
        read_selection(run)
