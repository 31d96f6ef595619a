from pathlib import Path

import numpy as np
from small_run import small_faces, write_run

from fkd.report.page import page_html
from fkd.report.run_record import read_run
from fkd.report.run_sections import prediction_section, provenance_section, report_sections

FACES = small_faces()
TITLES = ["Training", "Selection", "Errors", "Learned filters", "Predictions", "Provenance"]


def test_a_whole_report(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    sections = report_sections(read_run(run, FACES), FACES, np.full((4, 15, 2), 50.0))
    assert [section.title for section in sections] == TITLES
    html = page_html("tiny-faces", sections)
    figures = [figure.name for section in sections for figure in section.figures]
    assert len(figures) == 15
    assert all(f'<figure id="{name}"' in html for name in figures)


def test_an_unfinished_run_has_every_section(tmp_path: Path):
    record = read_run(write_run(tmp_path, FACES, {"four": (None,), "eleven": (None,)}), FACES)
    sections = report_sections(record, FACES)
    assert [section.title for section in sections] == TITLES
    assert all(section.text and not section.figures for section in sections)


def test_predictions_are_drawn_on_their_faces():
    predictions_px = np.arange(4.0).reshape(4, 1, 1) + np.full((4, 15, 2), 40.0)
    section = prediction_section(FACES, predictions_px)
    assert section.text == "4 of 4 test faces, by ImageId."
    panel = section.figures[0].draw().axes[3]
    assert panel.get_title() == "3"
    assert (panel.images[0].get_array() == FACES.test.images[3]).all()
    assert (panel.lines[0].get_xydata() == 43).all()


def test_the_submission_stands_for_predictions(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    run.submission.write_text("RowId,Location\n" + "".join(f"{row},60\n" for row in range(8)))
    section = report_sections(read_run(run, FACES), FACES)[4]
    points_px = section.figures[0].draw().axes[0].lines[0].get_xydata()
    assert points_px[np.isfinite(points_px)].tolist() == [60, 60]


def test_without_predictions_the_section_says_what_makes_them():
    assert prediction_section(FACES, None).text == "There are none yet; `fkd submit` makes them."


def test_provenance_tells_command_versions_and_settings(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    facts = dict(provenance_section(read_run(run, FACES)).facts)
    assert facts["command"] == f"fkd train {run.experiment} --data faces"
    assert (facts["fkd"], facts["data checksum"]) == ("0.1.0", "abc")
    assert facts["validation fraction"] == "0.25"
    assert "max_epochs: 3" in facts["training"]
