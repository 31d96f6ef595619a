from pathlib import Path

import numpy as np
import pytest
from small_run import axes_of, small_faces, write_run

from fkd.report.figures.selection_figures import selection_section
from fkd.report.page import Section
from fkd.report.run_record import read_run

FACES = small_faces()


def _section(tmp_path: Path, *four: float | None, **settings: object) -> Section:
    return selection_section(
        read_run(write_run(tmp_path, FACES, {"four": four, "eleven": (1.0,)}, **settings), FACES)
    )


def test_members_from_best_to_worst_and_which_are_chosen(tmp_path: Path):
    section = _section(tmp_path, 1.0, -0.8, 2.0)
    four, eleven = axes_of(section, "members-by-error")
    chosen, left_out = four.lines
    np.testing.assert_allclose(chosen.get_xydata(), [[0, 4], [1, 5]], rtol=1e-5)
    np.testing.assert_allclose(left_out.get_xydata(), [[2, 10]], rtol=1e-5)
    assert [label.get_text() for label in four.get_xticklabels()] == ["01", "00", "02"]
    assert section.text == "Averaged: 2 of 3 members of four, 1 of 1 members of eleven."
    np.testing.assert_allclose(eleven.lines[0].get_xydata(), [[0, 5]], rtol=1e-5)


def test_a_member_that_weighs_double_says_so(tmp_path: Path):
    # -1 alone is best; with 2 it gives 0.5, and once more 0.
    (words,) = axes_of(_section(tmp_path, 2.0, -1.0), "members-by-error")[0].texts
    assert (words.get_text(), words.xy[0]) == ("x2", 0)


def test_error_against_ensemble_size(tmp_path: Path):
    (axes,) = axes_of(_section(tmp_path, 1.0, -0.8, 0.9), "ensemble-size")
    best_first, selected, chosen, everyone, cross_validated = axes.lines
    # -0.8; (-0.8 + 0.9) / 2 = 0.05; (-0.8 + 0.9 + 1) / 3: the best two are chosen, in either order
    np.testing.assert_allclose(best_first.get_xydata(), [[1, 4], [2, 0.25], [3, 5.5 / 3]], atol=1e-4)
    np.testing.assert_allclose(selected.get_xydata(), best_first.get_xydata())
    np.testing.assert_allclose(chosen.get_xydata(), [[2, 0.25]], atol=1e-4)
    assert everyone.get_ydata()[0] == pytest.approx(5.5 / 3, rel=1e-4)
    # Each half of the faces chooses the same two.
    assert cross_validated.get_ydata()[0] == pytest.approx(0.25, abs=1e-4)
    assert cross_validated.get_label() == "chosen, cross-validated: 0.250"


def test_policies_that_choose_the_best_have_one_curve(tmp_path: Path):
    (axes,) = axes_of(_section(tmp_path, 1.0, -0.8, selection={"policy": "top", "top": 1}), "ensemble-size")
    assert axes.lines[0].get_label() == "best first"
    np.testing.assert_allclose(axes.lines[1].get_xydata(), [[1, 4]], rtol=1e-5)


def test_correlations_stand_in_the_order_of_the_members(tmp_path: Path):
    panel, _ = axes_of(_section(tmp_path, 1.0, -0.8, 2.0), "error-correlations")
    # Factors -0.8, 1, 2: the first is wrong in the other direction.
    expected = [[1, -1, -1], [-1, 1, 1], [-1, 1, 1]]
    np.testing.assert_allclose(panel.collections[0].get_array().reshape(3, 3), expected, atol=1e-4)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["01", "00", "02"]


def test_what_the_choice_is_worth(tmp_path: Path):
    (name, four), _ = _section(tmp_path, 1.0, -0.8).facts
    assert name == "four, validation RMSE"
    assert four.splitlines() == [
        "best single 4.000 px cross-validated, 4.000 px on the faces that chose",
        "all 2 averaged 0.500 px cross-validated, 0.500 px on the faces that chose",
        "chosen (greedy) 0.500 px cross-validated, 0.500 px on the faces that chose",
        "members 01, 00",
    ]


def test_single_members_make_no_ensemble(tmp_path: Path):
    section = _section(tmp_path, 1.0, None)
    assert [figure.name for figure in section.figures] == ["members-by-error"]
    assert section.text == (
        "Averaged: 1 of 2 members of four, 1 of 1 members of eleven. With one finished member there is no "
        "ensemble to show. Missing: four: 01 left out, not finished."
    )


def test_nothing_to_choose_from(tmp_path: Path):
    record = read_run(write_run(tmp_path, FACES, {"four": (None,), "eleven": (None,)}), FACES)
    section = selection_section(record)
    assert not section.figures
    assert section.text.startswith("There is nothing to choose from yet: four: 00 left out, not finished;")
