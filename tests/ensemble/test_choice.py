from pathlib import Path

import numpy as np
import pytest
from small_run import small_faces, write_run

from fkd.core.errors import UserError
from fkd.ensemble.choice import Choice, choose_members
from fkd.experiment.store import Run

FACES = small_faces()


def _choose(run: Run) -> tuple[Choice, list[str]]:
    said: list[str] = []
    return choose_members(run, run.read_experiment(), FACES, said.append), said


def test_every_specialist_gets_its_validation_and_its_members(tmp_path: Path):
    choice, said = _choose(write_run(tmp_path, FACES))
    assert said == []
    # Members of four are wrong by 5 and 4 px; the mean of their factors 1 and -0.8 is 0.1.
    assert choice.members == {"four": (1, 0), "eleven": (0,)}
    assert [report.specialist for report in choice.reports] == ["four", "eleven"]
    assert choice.reports[0].average_of_chosen.in_sample_px == pytest.approx(0.5, rel=1e-4)
    assert choice.validations["four"].predictions_px.shape == (2, 4, 4, 2)
    assert choice.validations["eleven"].members == (0,)


def test_what_specialists_are_worth_together(tmp_path: Path):
    choice, _ = _choose(write_run(tmp_path, FACES))
    [(names, estimates)] = choice.together.items()
    assert names == "four and eleven"
    labels = [np.isfinite(choice.validations[name].truth_px).sum() for name in ("four", "eleven")]
    squares = [report.average_of_all.in_sample_px**2 for report in choice.reports]
    assert estimates[1].in_sample_px == pytest.approx(np.average(squares, weights=labels) ** 0.5)


def test_who_is_left_out_is_said(tmp_path: Path):
    choice, said = _choose(write_run(tmp_path, FACES, {"four": (1.0, None, -0.8), "eleven": (1.0,)}))
    assert said == ["four/01: left out, its training is not finished"]
    assert choice.members["four"] == (2, 0)


def test_a_specialist_without_a_finished_member_is_refused(tmp_path: Path):
    run = write_run(tmp_path, FACES, {"four": (1.0,), "eleven": (None,)})
    with pytest.raises(
        UserError, match=r"specialist eleven has no finished member; continue with fkd train$"
    ):
        _choose(run)
