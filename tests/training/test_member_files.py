from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import fkd.training.member_files
from fkd.core.files import sha256
from fkd.data.faces import Faces
from fkd.experiment.files import load_experiment
from fkd.experiment.records import DoneRecord, read_record
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import MemberFolder, damaged_files
from fkd.training.batches import member_batches
from fkd.training.member_files import log_to_tensorboard, write_final_files, write_history
from fkd.training.member_task import MemberTask
from fkd.training.networks.build import build_model
from fkd.training.state import TrainingState

HISTORY = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]
STATE = TrainingState(epoch=2, best_epoch=1, best_rmse_px=1.5, saving_seconds=0.12345, history=HISTORY)
VALIDATION_PX = np.arange(24, dtype=np.float32).reshape(3, 4, 2)


@pytest.fixture
def folder(tmp_path: Path) -> MemberFolder:
    return MemberFolder(tmp_path)


def _task(experiment_file: Path, *settings: str) -> MemberTask:
    """A member of four that validates on three faces of noise."""
    images = np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8)
    faces = Faces(images, np.full((3, 15, 2), 40, np.float32), np.arange(3))
    experiment = load_experiment(str(experiment_file), settings)
    return MemberTask(experiment, MemberId("four", 0), member_batches(experiment, "four", faces)[0], faces)


def _finish(folder: MemberFolder, task: MemberTask) -> keras.Model:
    """Write what a member writes at its end; returns its network."""
    points = task.experiment.point_indices(task.specialist)
    model = build_model(task.experiment.network, len(points), task.seed)
    write_history(folder, STATE)
    write_final_files(folder, task, model, VALIDATION_PX, STATE)
    return model


def test_the_history_has_a_line_an_epoch_and_is_no_file_before_the_first(folder: MemberFolder):
    write_history(folder, TrainingState())
    assert not folder.history.exists()
    write_history(folder, STATE)
    assert folder.history.read_text() == "epoch,loss\n1,0.5\n2,0.25\n"


def test_the_last_epoch_is_logged_by_name(folder: MemberFolder):
    log_to_tensorboard(folder, STATE)
    (file,) = folder.logs.iterdir()
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    values = {
        value.tag: (event.step, float(tf.make_ndarray(value.tensor)))
        for event in events
        for value in event.summary.value
    }
    assert values == {"epoch": (2, 2.0), "loss": (2, 0.25)}


def test_a_finished_member_lists_its_files_checksums(folder: MemberFolder, tiny_experiment: Path):
    _finish(folder, _task(tiny_experiment))
    done = read_record(folder.done, DoneRecord)
    names = ["best.weights.h5", "validation.npy", "history.csv", "mirrored_validation.npy"]
    assert done == DoneRecord(
        member=folder.name,
        epochs=2,
        best_epoch=1,
        best_rmse_px=1.5,
        saving_seconds=0.123,
        files={name: sha256(folder.path / name) for name in names},
    )
    assert damaged_files(folder) == []
    folder.validation.write_bytes(b"half")
    folder.history.unlink()
    assert damaged_files(folder) == ["validation.npy", "history.csv"]


def test_weights_and_predictions_come_back(folder: MemberFolder, tiny_experiment: Path):
    task = _task(tiny_experiment)
    model = _finish(folder, task)
    np.testing.assert_array_equal(np.load(folder.validation), VALIDATION_PX)
    again = build_model(task.experiment.network, 4, (9,))
    again.load_weights(folder.best_weights)
    for weight, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_further_views_are_predicted_where_they_are_asked_for(folder: MemberFolder, tiny_experiment: Path):
    _finish(folder, _task(tiny_experiment, "prediction.views=3"))
    views_px, mirrored_px = np.load(folder.views_validation), np.load(folder.mirrored_validation)
    assert views_px.shape == (2, 2, 3, 4, 2)  # two more views, as they are and mirrored
    assert mirrored_px.shape == (3, 4, 2)
    assert folder.views_validation.name in read_record(folder.done, DoneRecord).files


def test_points_without_their_twins_are_not_mirrored(folder: MemberFolder, tiny_experiment: Path):
    points = "specialists.four.keypoints=[left_eye_center, nose_tip]"
    _finish(folder, _task(tiny_experiment, points, "prediction.views=2"))
    assert not folder.mirrored_validation.exists()
    assert np.load(folder.views_validation).shape == (1, 1, 3, 2, 2)


def test_a_member_is_done_only_when_all_its_files_are_there(
    folder: MemberFolder, tiny_experiment: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(fkd.training.member_files, "predict_mirrored", fail)  # of the last file
    with pytest.raises(OSError, match="no space left"):
        _finish(folder, _task(tiny_experiment))
    assert folder.validation.exists()
    assert not folder.done.exists()
