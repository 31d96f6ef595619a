import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_run import small_faces, write_done, write_history, write_run

from fkd.core.errors import UserError
from fkd.ensemble.submission import write_submission
from fkd.experiment.records import DamagedRecordError
from fkd.experiment.store import Run
from fkd.report.run_record import read_run

FACES = small_faces()


def test_a_finished_run(tmp_path: Path):
    record = read_run(write_run(tmp_path, FACES), FACES)
    four, eleven = record.specialists
    assert (four.name, eleven.name, record.remarks) == ("four", "eleven", ())
    assert four.usable == (0, 1)
    assert four.predictions_px.shape == (2, 4, 4, 2)
    assert [member.best["epoch"] for member in four.members] == [2, 2]
    # 5 px and 4 px; of -0.8 and 1 the mean factor is 0.1
    assert four.chosen == [1, 0]
    assert four.selection is not None
    assert [member.rmse_px for member in four.selection.members] == pytest.approx([5, 4], rel=1e-5)
    assert four.selection.average_of_chosen.in_sample_px == pytest.approx(0.5, rel=1e-4)
    np.testing.assert_allclose((four.average_px - four.truth_px)[:, 0, 0], [0.1, -0.1, 0.7, -0.7], atol=1e-4)
    assert eleven.chosen == [0]


def test_an_unfinished_run(tmp_path: Path):
    factors = {"four": (None, 1.0, *[None] * 8), "eleven": (None,)}
    record = read_run(write_run(tmp_path, FACES, factors), FACES)
    four, eleven = record.specialists
    assert (four.usable, four.chosen, len(four.members[0].history)) == ((1,), [0], 0)
    assert (eleven.usable, eleven.selection) == ((), None)
    assert [specialist.name for specialist in record.selected] == ["four"]
    assert record.submitted_px is None
    assert record.remarks == (
        "four: 00, 02, 03, 04, 05, 06 and 3 more left out, not finished",
        "eleven: 00 left out, not finished",
    )


def test_a_specialist_that_has_not_begun(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    run.split("eleven").unlink()
    record = read_run(run, FACES)
    assert [specialist.name for specialist in record.specialists] == ["four"]
    assert record.remarks == ("eleven has not begun",)


def test_damaged_files_are_refused(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    run.member("four", 0).validation.write_bytes(b"torn")
    with pytest.raises(DamagedRecordError, match=r"missing ones of four/00 \(validation.npy\); fkd"):
        read_run(run, FACES)


def test_predictions_that_are_no_numbers_are_left_out(tmp_path: Path):
    record = read_run(write_run(tmp_path, FACES, {"four": (math.nan, 1.0), "eleven": (1.0,)}), FACES)
    assert (record.specialists[0].usable, record.specialists[0].chosen) == ((1,), [0])
    assert record.remarks == ("four: 00 left out, predictions not finite",)


def test_choosing_a_member_without_numbers_is_reported(tmp_path: Path):
    by_hand = {"policy": "indices", "indices": {"four": [0], "eleven": [0]}}
    factors = {"four": (math.nan, 1.0), "eleven": (1.0,)}
    record = read_run(write_run(tmp_path, FACES, factors, selection=by_hand), FACES)
    assert record.specialists[0].selection is None
    assert (
        record.remarks[1] == "four: no members are chosen, as the chosen member 00 predicts no finite numbers"
    )


def _write_selection(run: Run, members: list[int]) -> None:
    estimate = {"in_sample_px": 7.0, "honest_px": None}
    names = ("best_single", "average_of_all", "average_of_chosen")
    scores = [{"index": index, "rmse_px": 7.0, "weight": 1} for index in members]
    report = {"specialist": "four", "policy": "top", "members": scores, "chosen": members}
    run.selection.write_text(json.dumps([report | dict.fromkeys(names, estimate)]))


def test_the_stored_selection_is_read(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    _write_selection(run, [0, 1])
    selection = read_run(run, FACES).specialists[0].selection
    assert selection is not None
    assert (selection.policy, selection.chosen, selection.average_of_all.in_sample_px) == ("top", (0, 1), 7)


def test_a_selection_of_fewer_members_is_made_anew(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    _write_selection(run, [0])
    assert read_run(run, FACES).specialists[0].chosen == [1, 0]


def test_early_stops(tmp_path: Path):
    training = {"max_epochs": 5, "patience_epochs": 2}
    run = write_run(tmp_path, FACES, training=training)
    for index, errors_px in enumerate(([6, 4, 5, 5], [6, 5, 4, 3, 2])):
        write_history(run.member("four", index), errors_px)
        write_done(run.member("four", index))
    four = read_run(run, FACES).specialists[0]
    assert [member.stopped_early for member in four.members] == [True, False]


def test_histories_of_older_runs(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    folder = run.member("four", 0)
    table = pd.read_csv(folder.history).drop(columns=["images", "training_seconds"])
    table.to_csv(folder.history, index=False)
    write_done(folder)
    history = read_run(run, FACES).specialists[0].members[0].history
    assert history["images"].tolist() == [8, 8, 8]  # the rows of the training split
    assert history["training_seconds"].tolist() == [1, 1, 1]


def test_a_submission_that_was_changed_is_remarked(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    write_submission(pd.DataFrame({"RowId": [1, 2], "Location": [3.0, 4.0]}), run.submission)
    assert "submission" not in "".join(read_run(run, FACES).remarks)
    run.submission.write_text("RowId,Location\n1,4.0\n2,3.0\n")
    assert read_run(run, FACES).remarks[-1].endswith("expected what fkd submit wrote, received another file")


def test_the_submission_by_image(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    run.submission.write_text("RowId,Location\n" + "".join(f"{row},{row + 0.5}\n" for row in range(8)))
    submitted_px = read_run(run, FACES).submitted_px
    assert submitted_px is not None
    nose_tip = FACES.point_names.index("nose_tip")
    assert submitted_px[:, nose_tip].tolist() == [[0.5, 1.5], [2.5, 3.5], [4.5, 5.5], [6.5, 7.5]]
    assert np.isfinite(submitted_px).sum() == 8


def test_other_data_are_refused(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    with pytest.raises(
        UserError, match=r"checksum abc\), received faces \(def\); name that data with --data"
    ):
        read_run(run, replace(FACES, checksum="def"))


def test_no_run(tmp_path: Path):
    with pytest.raises(UserError, match="no such run"):
        read_run(Run(tmp_path / "none"), FACES)
