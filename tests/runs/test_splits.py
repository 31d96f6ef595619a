import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_experiment import BY_SOURCE

from fkd.core.errors import UserError
from fkd.core.files import sha256
from fkd.core.keypoints import KAGGLE15
from fkd.data.faces import FaceData, Faces
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.records import DamagedRecordError
from fkd.experiment.store import MemberFolder, Run
from fkd.runs.splits import check_labels, make_splits, read_split
from fkd.runs.status import finished_members

FACES = 20


@pytest.fixture
def data() -> FaceData:
    """Unlike faces of ten persons; rows 0 to 7 are complete, 8 to 18 have the four points, 19 has none."""
    keypoints = np.full((FACES, 15, 2), 40, np.float32)
    keypoints[8:, KAGGLE15.indices("eleven")] = np.nan
    keypoints[19] = np.nan
    images = np.random.default_rng(0).integers(0, 256, (FACES, 96, 96), np.uint8)
    training = Faces(images, keypoints, np.arange(FACES))
    groups = np.arange(FACES) // 2
    return FaceData("faces", "c" * 64, KAGGLE15.names, training, training, groups, pd.DataFrame(), None)


def test_rows_by_specialist(tmp_path: Path, experiment: Experiment, data: FaceData):
    splits = make_splits(Run(tmp_path), experiment, data)
    for specialist, rows in (("four", 19), ("eleven", 8)):
        split = splits[specialist]
        assert sorted([*split.training, *split.validation]) == list(range(rows))
        assert not set(split.training // 2) & set(split.validation // 2), "a person is on both sides"
        assert len(split.validation_groups) == len(split.validation)
    assert len(splits["eleven"].validation) == 2  # a quarter of eight


def test_rows_with_any_of_the_points(tmp_path: Path, tiny_experiment: Path, data: FaceData):
    experiment = load_experiment(str(tiny_experiment), ["specialists.four.rows=any"])
    data.training.keypoints[18, 1:] = np.nan  # one of the four is left
    split = make_splits(Run(tmp_path), experiment, data)["four"]
    assert sorted([*split.training, *split.validation]) == list(range(19))


def test_faces_stay_on_their_side_where_members_go_on(tmp_path: Path, tiny_experiment: Path, data: FaceData):
    (tmp_path / "dropped.csv").write_text("row,keypoint\n3,nose_tip\n")
    settings = [BY_SOURCE, f"dropped_labels={tmp_path / 'dropped.csv'}"]
    splits = make_splits(Run(tmp_path), load_experiment(str(tiny_experiment), settings), data)
    for side in ("training", "validation"):
        begun, many, few = (getattr(splits[name], side) for name in ("all", "many", "few"))
        assert [*many, *few] == [*begun]  # rows 0 to 7 have 15 labels, the others 4
        assert max(many) < 8 <= min(few)
    groups = [splits[name].validation_groups.tolist() for name in ("all", "many", "few")]
    assert groups[0] == groups[1] + groups[2]
    assert splits["many"].dropped_labels.tolist() == [[3, KAGGLE15.names.index("nose_tip")]]


def test_a_source_without_faces_is_one_clear_line(tmp_path: Path, tiny_experiment: Path, data: FaceData):
    experiment = load_experiment(str(tiny_experiment), [BY_SOURCE])
    with pytest.raises(
        UserError, match=r"^few: expected faces with 1 to 4 labels that train and .* too few;"
    ):
        make_splits(
            Run(tmp_path),
            experiment,
            dataclasses.replace(data, training=data.training.take(np.arange(8)), groups=None),
        )


def test_the_split_is_drawn_once_and_kept(tmp_path: Path, experiment: Experiment, data: FaceData):
    run = Run(tmp_path)
    make_splits(run, experiment, data)
    # As earlier versions wrote it, and other rows than are drawn.
    record = {"training": [1, 2], "validation": [5], "validation_groups": [2]}
    run.split("four").write_text(json.dumps(record))
    assert make_splits(run, experiment, data)["four"].validation.tolist() == [5]
    assert read_split(run, "four").validation.tolist() == [5]


def test_dropped_labels_train_nobody_and_validate_all_the_same(
    tmp_path: Path, tiny_experiment: Path, data: FaceData
):
    dropped = tmp_path / "far_labels.csv"
    dropped.write_text("row,keypoint,distance_px\n3,nose_tip,9.5\n4,left_eye_center,8\n")
    experiment = load_experiment(str(tiny_experiment), [f"dropped_labels={dropped}"])
    run = Run(tmp_path / "run")
    run.path.mkdir()
    split = make_splits(run, experiment, data)["four"]
    dropped.unlink()  # the run keeps what it read
    np.testing.assert_array_equal(read_split(run, "four").dropped_labels, split.dropped_labels)
    nose, eye = KAGGLE15.names.index("nose_tip"), KAGGLE15.names.index("left_eye_center")
    assert split.dropped_labels.tolist() == [[3, nose], [4, eye]]
    every_row = dataclasses.replace(split, training=np.arange(8))
    unlabelled = np.argwhere(np.isnan(every_row.training_faces(data.training, data.test).keypoints[..., 0]))
    assert unlabelled.tolist() == [[3, nose], [4, eye]]
    assert np.isfinite(data.training.keypoints[:8]).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ": expected a readable CSV file, received none"),
        ("line,keypoint\n1,nose_tip\n", ", line 1, column row: expected it in the header"),
        (
            "row,keypoint\n\n1,nose_tip\n1,ear\n",
            ", line 4, column keypoint: expected a keypoint of the schema",
        ),
        ("row,keypoint\n20,nose_tip\n", ", line 2, column row: expected a training row from 0 to 19"),
        ("row,keypoint\n1e300,nose_tip\n", ", line 2, column row: expected a whole number"),
        (
            "row;keypoint\n1;nose_tip\n",
            ": expected comma-separated UTF-8, received values separated by semic",
        ),
    ],
)
def test_wrong_dropped_labels_are_one_clear_line(
    tmp_path: Path, tiny_experiment: Path, data: FaceData, text: str | None, words: str
):
    path = tmp_path / "labels.csv"
    if text is not None:
        path.write_text(text)
    experiment = load_experiment(str(tiny_experiment), [f"dropped_labels={path}"])
    with pytest.raises(UserError, match=rf"^dropped_labels: [^\n]*labels.csv{words}[^\n]*$"):
        make_splits(Run(tmp_path), experiment, data)


REVIEWED = (
    "row,keypoint,decision,x_px,y_px\n3,nose_tip,move,41.50,44\n4,left_eye_center,drop,,\n5,nose_tip,keep,,\n"
)


def test_reviewed_labels_are_learned_where_they_were_moved_to(
    tmp_path: Path, tiny_experiment: Path, data: FaceData
):
    reviewed = tmp_path / "reviewed.csv"
    reviewed.write_text(REVIEWED)
    experiment = load_experiment(str(tiny_experiment), [f"reviewed_labels={reviewed}"])
    run = Run(tmp_path / "run")
    run.path.mkdir()
    split = make_splits(run, experiment, data)["four"]
    nose, eye = KAGGLE15.names.index("nose_tip"), KAGGLE15.names.index("left_eye_center")
    expected_px = data.training.keypoints.copy()
    expected_px[3, nose], expected_px[4, eye] = (41.5, 44), np.nan
    np.testing.assert_array_equal(split.kept_labels(data.training.keypoints), expected_px)
    assert (data.training.keypoints[3, nose] == 40).all(), "and validated as they are"

    reviewed.unlink()  # on another machine there is none: the run keeps what it read
    split = make_splits(run, experiment, data)["four"]
    np.testing.assert_array_equal(split.kept_labels(data.training.keypoints), expected_px)


def test_other_decisions_are_another_run(tmp_path: Path, tiny_experiment: Path, data: FaceData):
    reviewed = tmp_path / "reviewed.csv"
    reviewed.write_text(REVIEWED)
    experiment = load_experiment(str(tiny_experiment), [f"reviewed_labels={reviewed}"])
    run = Run(tmp_path / "run")
    run.path.mkdir()
    make_splits(run, experiment, data)
    reviewed.write_text(REVIEWED + "7,nose_tip,keep,,\n")
    make_splits(run, experiment, data)  # what is kept changes nothing
    reviewed.write_text(REVIEWED.replace("44", "45"))
    with pytest.raises(UserError, match=r"^reviewed_labels: expected the decisions with which .* --fresh"):
        make_splits(run, experiment, data)


def test_reviewed_labels_go_on_with_those_who_continue(tmp_path: Path, tiny_experiment: Path, data: FaceData):
    (tmp_path / "reviewed.csv").write_text(REVIEWED)
    settings = [BY_SOURCE, f"reviewed_labels={tmp_path / 'reviewed.csv'}"]
    splits = make_splits(Run(tmp_path), load_experiment(str(tiny_experiment), settings), data)
    np.testing.assert_array_equal(splits["many"].reviewed_labels, splits["all"].reviewed_labels)
    assert len(splits["many"].reviewed_labels) == 2


def test_labels_are_looked_at_before_a_run_begins(tmp_path: Path, tiny_experiment: Path, data: FaceData):
    (tmp_path / "all.csv").write_text("row,keypoint\n" + "".join(f"{row},nose_tip\n" for row in range(19)))
    for file, words in (
        ("all.csv", "expected to keep labels of nose_tip, received none"),
        ("no.csv", "readable"),
    ):
        experiment = load_experiment(str(tiny_experiment), [f"dropped_labels={tmp_path / file}"])
        with pytest.raises(UserError, match=words):
            check_labels(experiment, data)


def test_decisions_on_faces_that_train_are_counted(tmp_path: Path, tiny_experiment: Path, data: FaceData):
    (tmp_path / "reviewed.csv").write_text(REVIEWED)
    experiment = load_experiment(str(tiny_experiment), [f"reviewed_labels={tmp_path / 'reviewed.csv'}"])
    split = make_splits(Run(tmp_path), experiment, data)["four"]
    train = [row for row in (3, 4) if row in split.training]
    assert split.learned_decisions(KAGGLE15.indices("four")) == len(train)
    nose_alone = split.learned_decisions(np.array([KAGGLE15.names.index("nose_tip")]))
    assert nose_alone == (3 in split.training)


def test_decisions_are_no_list_of_labels_to_drop(tmp_path: Path, tiny_experiment: Path, data: FaceData):
    (tmp_path / "reviewed.csv").write_text(REVIEWED)
    experiment = load_experiment(str(tiny_experiment), [f"dropped_labels={tmp_path / 'reviewed.csv'}"])
    with pytest.raises(UserError, match=r"^dropped_labels: .*name the file as reviewed_labels"):
        make_splits(Run(tmp_path), experiment, data)


def test_no_label_need_be_dropped(tmp_path: Path, tiny_experiment: Path, data: FaceData):
    none = tmp_path / "far_labels.csv"
    none.write_text("row,keypoint\n")  # of a run without label outliers
    experiment = load_experiment(str(tiny_experiment), [f"dropped_labels={none}"])
    assert make_splits(Run(tmp_path), experiment, data)["four"].dropped_labels.shape == (0, 2)


def test_dropped_labels_are_read_from_files_alone(tmp_path: Path, tiny_experiment: Path, data: FaceData):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", f"file://{tiny_experiment}"):
        experiment = load_experiment(str(tiny_experiment), [f"dropped_labels={path}"])
        with pytest.raises(UserError, match=r"^dropped_labels: .*a readable CSV file, received none"):
            make_splits(Run(tmp_path / "run"), experiment, data)


def test_too_few_faces_name_the_specialist(tmp_path: Path, experiment: Experiment, data: FaceData):
    data.training.keypoints[1:] = np.nan
    with pytest.raises(UserError, match=r"^four: validation split: expected rows from at least 2 groups"):
        make_splits(Run(tmp_path), experiment, data)


def test_unfinished_members_are_left_out_and_damaged_ones_refused(tmp_path: Path, experiment: Experiment):
    run = Run(tmp_path)
    for index in (0, 1):
        folder = run.member("four", index)
        folder.path.mkdir(parents=True)
        np.save(folder.validation, np.zeros((1, 4, 2)))
    _finish(run.member("four", 0))
    unfinished = "four/01: left out, its training is not finished"
    assert finished_members(run, experiment, "four") == ([0], [unfinished])
    _finish(run.member("four", 1))
    assert finished_members(run, experiment, "four") == ([0, 1], [])
    run.member("four", 0).validation.write_bytes(b"half")
    run.member("four", 1).done.write_text("{")
    names = r"four/00 \(validation.npy\), four/01 \(done.json\)"
    with pytest.raises(
        DamagedRecordError, match=rf"{names}; fkd train makes .* state, or remove the member's folder"
    ):
        finished_members(run, experiment, "four")


def _finish(folder: MemberFolder) -> None:
    folder.done.write_text(json.dumps({"files": {"validation.npy": sha256(folder.validation)}}))
