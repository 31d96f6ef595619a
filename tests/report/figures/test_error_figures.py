from pathlib import Path

import numpy as np
from small_run import axes_of, small_faces, write_run

from fkd.report.figures.error_figures import error_section
from fkd.report.page import Section
from fkd.report.run_record import read_run

FACES = small_faces()


def _section(tmp_path: Path, **factors: tuple[float | None, ...]) -> Section:
    members = {"four": (1.0, -0.8), "eleven": (1.0,)} | factors
    return error_section(read_run(write_run(tmp_path, FACES, members), FACES), FACES)


def test_errors_by_coordinate_stand_in_the_schemas_order(tmp_path: Path):
    (axes,) = axes_of(_section(tmp_path), "errors-by-keypoint")
    points = [label.get_text() for label in axes.get_yticklabels()]
    assert points == [name.replace("_", " ") for name in FACES.point_names]
    for bars in axes.containers:  # x, then y
        widths_px = dict(zip(points, [bar.get_width() for bar in bars], strict=True))
        assert (
            round(widths_px["nose tip"], 3) == 0.5
        )  # of `four`, whose average is wrong by 0.1 of the pattern
        assert round(widths_px["mouth left corner"], 3) == 5  # of `eleven`, its one member


def test_cumulative_errors_end_at_all_points(tmp_path: Path):
    (axes,) = axes_of(_section(tmp_path), "cumulative-errors")
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {
        "eyes",
        "nose",
        "eyebrows",
        "mouth",
        "all",
    }
    everything = axes.lines[0]  # seaborn draws the last first
    distances_px, percent = everything.get_data()
    # Of 15 points, 4 are wrong by 0.1 and 11 by 1 times (1, 1, 7, 7) px in x and in y.
    for limit_px, expected in ((0.15, 4 * 2 / 60), (1, 4 * 4 / 60), (1.5, (4 * 4 + 11 * 2) / 60), (10, 1)):
        assert round(percent[distances_px <= limit_px].max() / 100, 6) == round(expected, 6)


def test_the_worst_and_the_best_faces(tmp_path: Path):
    section = _section(tmp_path)
    worst, best = (
        [panel.get_title() for panel in axes_of(section, f"{part}-faces-four") if panel.images]
        for part in ("worst", "best")
    )
    # Faces 10 and 11 are wrong by 7 px times 0.1, faces 8 and 9 by 1 px times 0.1.
    assert sorted(worst) == ["#10: 0.70", "#11: 0.70"]
    assert sorted(best) == ["#8: 0.10", "#9: 0.10"]


def test_a_faces_picture_is_the_one_that_its_title_names(tmp_path: Path):
    panel = axes_of(_section(tmp_path), "worst-faces-eleven")[0]
    row = int(panel.get_title().partition(":")[0].removeprefix("#"))
    assert (panel.images[0].get_array() == FACES.training.images[row]).all()


def test_disagreement_tells_the_error_here(tmp_path: Path):
    section = _section(tmp_path, four=(1.0, -0.75))
    (figure,) = [figure for figure in section.figures if figure.name == "uncertainty"]
    # Both are multiples of the pattern's size: the mean factor is 0.125, and both stand 0.875 from it.
    assert "rank correlation 1.00 (four)." in figure.caption
    (axes,) = axes_of(section, "uncertainty")
    bins = axes.lines[0].get_xydata()[[0, -1]]
    np.testing.assert_allclose(bins / np.sqrt(2), [[0.875, 0.125], [7 * 0.875, 7 * 0.125]], rtol=1e-5)


def test_one_member_has_no_disagreement(tmp_path: Path):
    section = _section(tmp_path, four=(1.0,))
    assert "uncertainty" not in [figure.name for figure in section.figures]
    assert section.text == (
        "The selected average on 4 validation faces (four) and 4 validation faces (eleven); the same faces "
        "chose the members. A single member disagrees with nobody: uncertainty is left out."
    )


def test_a_specialist_without_members_is_named(tmp_path: Path):
    section = _section(tmp_path, eleven=(None,))
    assert "Missing: eleven, without chosen members." in section.text
    assert len(axes_of(section, "errors-by-keypoint")[0].get_yticklabels()) == 4


def test_no_members_no_errors(tmp_path: Path):
    section = _section(tmp_path, four=(None,), eleven=(None,))
    assert (section.text, section.figures) == (
        "No members are chosen yet, so there is no average to examine.",
        (),
    )
