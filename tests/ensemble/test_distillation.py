"""What a teacher predicts of the training faces is learned in place of their labels, and of no others."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from written_members import select, write_member

from fkd.core.errors import UserError
from fkd.core.keypoints import KAGGLE15
from fkd.data.faces import FaceData, Faces
from fkd.ensemble.distillation import distilled_splits, find_distilled_run
from fkd.ensemble.predict import predict_ensemble
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run, open_run
from fkd.runs.splits import make_splits, read_split

LABEL_PX = 40


@pytest.fixture
def data() -> FaceData:
    """Twenty faces with all labels."""
    images = np.random.default_rng(0).integers(0, 256, (20, 96, 96), np.uint8)
    faces = Faces(images, np.full((20, 15, 2), LABEL_PX, np.float32), np.arange(20))
    return FaceData("faces", "c" * 64, KAGGLE15.names, faces, faces, np.arange(20), pd.DataFrame(), None)


@pytest.fixture
def teacher(tmp_path: Path, tiny_experiment: Path, data: FaceData) -> Run:
    """A run tiny-faces with chosen members whose weights are those that they begin with."""
    experiment, run = load_experiment(str(tiny_experiment)), Run(tmp_path / "tiny-faces")
    open_run(run, experiment, {"data_checksum": data.checksum})
    make_splits(run, experiment, data)
    for member in experiment.members:
        write_member(run, experiment, *member)
    select(run, four=[0, 1], eleven=[0])
    return run


def open_pupil(tiny_experiment: Path, *settings: str) -> tuple[Run, Experiment]:
    """A run pupil-faces of an experiment with the teacher tiny."""
    experiment = load_experiment(str(tiny_experiment), ["name=pupil", "teacher=tiny", *settings])
    run = Run(tiny_experiment.parent / "pupil-faces")
    open_run(run, experiment, {"data_checksum": "c" * 64})
    return run, experiment


def test_training_faces_have_the_teachers_labels(teacher: Run, tiny_experiment: Path, data: FaceData):
    pupil, said = open_pupil(tiny_experiment), list[str]()
    split = distilled_splits(*pupil, data, said.append)["four"]
    assert said == [f"{teacher.path}: predicting the labels of 20 training faces"]
    predicted = predict_ensemble(
        teacher, teacher.read_experiment(), {"four": [0, 1], "eleven": [0]}, data.training.images
    )
    learned = split.training_faces(data.training, data.test)
    np.testing.assert_array_equal(learned.ids, split.training)
    np.testing.assert_allclose(learned.keypoints, predicted[split.training], atol=0.0051)
    assert (data.training.keypoints == LABEL_PX).all(), "those who validate are scored by the labels"


def test_test_images_are_learned_behind_the_training_faces(
    teacher: Run, tiny_experiment: Path, data: FaceData
):
    pupil, said = open_pupil(tiny_experiment, "distil_test_images=true"), list[str]()
    split = distilled_splits(*pupil, data, said.append)["four"]
    assert said == [f"{teacher.path}: predicting the labels of 20 training faces and 20 test images"]
    learned, trained = split.training_faces(data.training, data.test), len(split.training)
    assert split.images_per_epoch == len(learned.images) == trained + 20
    # The test images are the training faces, too, and so are their labels.
    np.testing.assert_array_equal(learned.images[trained:], data.training.images)
    np.testing.assert_array_equal(learned.keypoints[trained:][split.training], learned.keypoints[:trained])


@pytest.mark.parametrize("weight", [0, 0.25])
def test_labels_keep_their_share_and_the_teacher_fills_gaps(
    weight: float, teacher: Run, tiny_experiment: Path, data: FaceData
):
    missing, dropped = (KAGGLE15.names.index(f"{side}_eye_inner_corner") for side in ("right", "left"))
    data.training.keypoints[:, missing] = np.nan
    labels = tiny_experiment.with_name("labels.csv")
    labels.write_text("row,keypoint\n" + "".join(f"{row},left_eye_inner_corner\n" for row in range(20)))
    asked = (f"teacher_weight={weight}", f"dropped_labels={labels}", "specialists.eleven.rows=any")
    split = distilled_splits(*open_pupil(tiny_experiment, *asked), data, print)["four"]
    predicted = predict_ensemble(
        teacher, teacher.read_experiment(), {"four": [0, 1], "eleven": [0]}, data.training.images
    )[split.training]
    learned = split.training_faces(data.training, data.test).keypoints
    unlabelled = [missing, dropped]
    np.testing.assert_allclose(learned[:, unlabelled], predicted[:, unlabelled], atol=0.0051)
    others = np.delete(learned - weight * predicted, unlabelled, axis=1)
    np.testing.assert_allclose(others, (1 - weight) * LABEL_PX, atol=0.0051)


def test_test_images_need_a_teacher(tiny_experiment: Path):
    with pytest.raises(UserError, match="distil_test_images: expected a teacher that labels them"):
        load_experiment(str(tiny_experiment), ["distil_test_images=true"])


def test_a_run_keeps_what_it_was_taught(teacher: Run, tiny_experiment: Path, data: FaceData):
    pupil = open_pupil(tiny_experiment)
    before = distilled_splits(*pupil, data, print)["four"].distilled_px
    teacher.selection.unlink()
    again = distilled_splits(*pupil, data, pytest.fail)["four"].distilled_px
    np.testing.assert_array_equal(again, before)
    np.testing.assert_array_equal(read_split(pupil[0], "four").distilled_px, before)


def test_without_a_teacher_the_labels_train(tiny_experiment: Path, data: FaceData):
    run, experiment = open_pupil(tiny_experiment, "teacher=null")
    assert find_distilled_run(run, experiment, data) is None
    assert distilled_splits(run, experiment, data, pytest.fail)["four"].distilled_px is None


@pytest.mark.usefixtures("teacher")
def test_a_teacher_that_knows_the_validation_faces_is_refused(tiny_experiment: Path, data: FaceData):
    pupil = open_pupil(tiny_experiment, "seed=4")
    with pytest.raises(UserError, match=r"^teacher: expected four's validation faces to be new to [^\n]*$"):
        distilled_splits(*pupil, data, pytest.fail)


def test_a_teacher_that_cannot_be_is_one_line(teacher: Run, tiny_experiment: Path, data: FaceData):
    run, experiment = open_pupil(tiny_experiment)

    def refused(experiment: Experiment, words: str) -> None:
        with pytest.raises(UserError, match=rf"^teacher: expected {words}[^\n]*$"):
            find_distilled_run(run, experiment, data)

    refused(experiment.model_copy(update={"keypoint_schema": ("nose",)}), "the same keypoint_schema")
    teacher.provenance.write_text('{"data_checksum": "dd"}')
    refused(experiment, "a run on these data")
    teacher.selection.unlink()
    refused(
        experiment, "a run with chosen members in .*tiny-faces, received none; make it with fkd train tiny"
    )
