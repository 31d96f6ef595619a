"""What a member writes besides its state: its history and, at its end, what selecting and predicting read."""

import csv
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fkd.core.errors import one_line
from fkd.core.files import atomic_path, atomic_write_array, atomic_write_bytes, sha256
from fkd.core.lean_keras import keras
from fkd.experiment.records import DamagedRecordError, DoneRecord, write_record
from fkd.experiment.store import MemberFolder
from fkd.training.member_task import MemberTask
from fkd.training.networks.codecs import codec_of
from fkd.training.predict import predict_mirrored, predict_view
from fkd.training.state import TrainingState
from fkd.training.test_time_augmentation import view_matrices


def write_history(folder: MemberFolder, state: TrainingState) -> None:
    """Write history.csv, one line for every finished epoch; no file before the first one."""
    if not state.history:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(state.history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(state.history)
    atomic_write_bytes(folder.history, text.getvalue().encode())


def log_to_tensorboard(folder: MemberFolder, state: TrainingState) -> None:
    """Add the last epoch's record to the member's TensorBoard logs."""
    import tensorflow as tf  # other backends train without it

    record = state.history[-1]
    with tf.summary.create_file_writer(str(folder.logs)).as_default(step=state.epoch):
        for name, value in record.items():
            tf.summary.scalar(name, value)


def write_final_files(
    folder: MemberFolder,
    task: MemberTask,
    best: keras.Model,
    validation_px: npt.NDArray[np.float32],
    state: TrainingState,
) -> None:
    """Write the best weights, their validation predictions and, last, done.json with the files' checksums.

    best: a network with the best weights. validation_px: its predictions for the validation rows, shape
    (rows, points, 2).
    """
    with atomic_path(folder.best_weights) as temporary:
        best.save_weights(temporary)
    atomic_write_array(folder.validation, validation_px)
    further = _write_further_predictions(folder, task, best)
    files = [folder.best_weights, folder.validation, folder.history, *further]
    done = DoneRecord(
        member=folder.name,
        epochs=state.epoch,
        best_epoch=state.best_epoch,
        best_rmse_px=state.best_rmse_px,
        saving_seconds=round(state.saving_seconds, 3),
        files={path.name: sha256(path) for path in files},
    )
    write_record(folder.done, done)


def load_best_weights(model: keras.Model, folder: MemberFolder) -> None:
    """Put a finished member's best weights into a network.

    Raises DamagedRecordError where they do not fit.
    """
    try:
        model.load_weights(folder.best_weights)
    except Exception as error:  # h5py and Keras raise nearly every kind there is
        raise DamagedRecordError(
            f"{folder.best_weights}: expected weights of this experiment's network, received others or "
            f"another file ({type(error).__name__}: {one_line(error):.160}); {DoneRecord.way_out}"
        ) from error


def _write_further_predictions(folder: MemberFolder, task: MemberTask, best: keras.Model) -> list[Path]:
    """Write the predictions for the mirrored validation faces and for further views; returns the files."""
    experiment, images = task.experiment, task.validation.images
    codec, twins = codec_of(experiment.network), experiment.twin_positions(task.specialist)
    files = []
    if twins is not None:
        atomic_write_array(folder.mirrored_validation, predict_mirrored(best, codec, twins, images))
        files.append(folder.mirrored_validation)
    if further := view_matrices(experiment.prediction.views)[1:]:
        views_px = [predict_view(best, codec, twins, images, matrix) for matrix in further]
        atomic_write_array(folder.views_validation, np.stack(views_px))
        files.append(folder.views_validation)
    return files
