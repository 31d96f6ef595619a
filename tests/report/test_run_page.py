"""The page as a list of sections; that it becomes HTML is tested with `page` and through the command line."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from small_run import small_faces, write_run

import fkd.report.run_page
from fkd.ensemble.choice import choose_members
from fkd.report.page import Opening, Section
from fkd.report.run_page import run_figures, write_report

FACES = small_faces()
Pages = list[tuple[str, Sequence[Section]]]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    """Title and sections of every page that is written."""
    pages: Pages = []

    def page_html(title: str, sections: Sequence[Section], opening: Opening) -> str:
        assert opening.text.startswith("Next: ")
        pages.append((title, sections))
        return "the page, in Ærø"

    monkeypatch.setattr(fkd.report.run_page, "page_html", page_html)
    return pages


def _text(sections: Sequence[Section], title: str) -> str:
    return next(section.text for section in sections if section.title == title)


def test_data_and_augmentation_come_before_what_came_of_the_run(tmp_path: Path, pages: Pages):
    run = write_run(tmp_path, FACES)
    write_report(run, FACES)
    ((title, sections),) = pages
    assert title == "tiny-faces"
    assert [section.title for section in sections] == [
        *("The data: faces", "Augmentation", "Training", "Selection"),
        *("Errors", "Learned filters", "Predictions", "Provenance"),
    ]
    assert run.report.read_text(encoding="utf-8") == "the page, in Ærø"
    assert _text(sections, "Predictions") == "There are none yet; `fkd submit` makes them."


def test_the_figures_of_the_page_are_objects_with_names(tmp_path: Path):
    figures = run_figures(write_run(tmp_path, FACES), FACES)
    assert "training-curves: RMSE of every member by epoch" in repr(figures).splitlines()
    assert len(figures) == len(list(figures)) > 10
    assert figures["training-curves"].draw().axes
    assert 'id="training-curves"' in figures["training-curves"]._repr_html_()
    with pytest.raises(KeyError, match="errors: no such figure; those there are: faces, mean-face, "):
        figures["errors"]


def test_predictions_and_validations_that_are_at_hand_are_shown(
    tmp_path: Path, pages: Pages, monkeypatch: pytest.MonkeyPatch
):
    run = write_run(tmp_path, FACES)
    choice = choose_members(run, run.read_experiment(), FACES, pytest.fail)
    monkeypatch.setattr("fkd.report.run_record.read_validation", pytest.fail)  # not read again
    write_report(run, FACES, np.full((4, 15, 2), 50.0), choice.validations)
    assert _text(pages[0][1], "Predictions") == "4 of 4 test faces, by ImageId."
