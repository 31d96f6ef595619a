"""What a report says first, of runs whose errors are known (see `small_run`)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from small_run import FACTORS, small_faces, write_run

from fkd.core.files import sha256
from fkd.experiment.records import KaggleRecord, write_record
from fkd.experiment.store import Run
from fkd.report.page import Opening
from fkd.report.run_record import read_run
from fkd.report.summary import summary

FACES = small_faces()


def _summary(run: Run, **changes: object) -> Opening:
    faces = replace(FACES, **changes)
    return summary(read_run(run, faces), faces)


def _answers(opening: Opening) -> dict[str, str]:
    return {answer.meaning: answer.value for answer in opening.answers}


def test_a_finished_run_is_estimated_and_asks_to_be_submitted(tmp_path: Path):
    opening = _summary(write_run(tmp_path, FACES))
    answers = _answers(opening)
    # The factors 1 and -0.8 average to 0.1, so 0.5 px of 32 values; 88 values of the eleven are 5 px off.
    together_px = np.sqrt((32 * 0.5**2 + 88 * 5**2) / 120)
    assert opening.answers[0].value == f"{together_px:.3f} px"
    assert (
        opening.answers[0].meaning == "RMSE to expect on new faces (members chosen on other people's faces)"
    )
    assert (answers["for the points of four"], answers["for the points of eleven"]) == (
        "0.500 px",
        "5.000 px",
    )
    assert answers["trained members are chosen; all are trained"] == "3 of 3"
    assert answers["of training, all members together"].endswith(" min")
    assert opening.text == "Next: fkd submit tiny --data faces, which predicts the test images."


def test_an_unfinished_run_asks_to_go_on(tmp_path: Path):
    opening = _summary(write_run(tmp_path, FACES, FACTORS | {"four": (1.0, None)}))
    assert _answers(opening)["trained members are chosen; 2 of 3 are trained"] == "2 of 2"
    assert opening.text == "Next: fkd train tiny --data faces, which goes on where it stopped."


def test_nothing_is_expected_of_a_run_without_members(tmp_path: Path):
    opening = _summary(write_run(tmp_path, FACES, {"four": (None,), "eleven": (None,)}))
    assert [answer.value for answer in opening.answers] == ["0 of 0", "0.0 min"]


def test_data_without_test_images_ask_for_an_export(tmp_path: Path):
    opening = _summary(write_run(tmp_path, FACES), lookup=FACES.lookup.iloc[:0])
    assert opening.text.startswith("Next: fkd export tiny --data faces, ")


def test_the_score_comes_first_where_labels_are_known(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    submitted = pd.DataFrame({"RowId": range(8), "Location": 50.0})
    submitted.to_csv(run.submission, index=False)
    solution = submitted.assign(Location=[53.0, 46.0] * 4)  # 3 and 4 px off
    opening = _summary(run, solution=solution)
    assert opening.answers[0].value == f"{np.sqrt((9 + 16) / 2):.3f} px"
    assert opening.answers[0].meaning == "RMSE of the submission against the hidden labels"
    assert opening.text.startswith(
        "Next: make review EXPERIMENT=tiny DATA=faces, labels that look wrong, or make demo"
    )
    submitted.iloc[:7].to_csv(run.submission, index=False)  # no longer what fkd wrote
    assert "to expect" in _summary(run, solution=solution).answers[0].meaning


def test_kaggle_s_scores_are_shown_of_the_submission_that_is_there(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    pd.DataFrame({"RowId": range(8), "Location": 50.0}).to_csv(run.submission, index=False)
    write_record(run.kaggle_record, KaggleRecord(sha256=sha256(run.submission), message="", public_px=2.125))
    first, second = _summary(run).answers[:2]
    assert (first.value, first.meaning) == ("2.125 px", "public score at Kaggle")
    assert "to expect" in second.meaning
    pd.DataFrame({"RowId": range(8), "Location": 51.0}).to_csv(run.submission, index=False)
    assert "to expect" in _summary(run).answers[0].meaning
