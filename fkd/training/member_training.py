"""Training one member, exactly resumable after every batch; nothing here knows about ensembles.

The loop is fkd's own rather than `Model.fit`: Keras' callbacks forget patience and best score when a
training is taken up again (keras issue 17012).
"""

import csv
import io
import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.files import (
    atomic_path,
    atomic_write_array,
    atomic_write_bytes,
    atomic_write_json,
    remove_leftovers,
    sha256,
)
from fkd.core.interrupt import InterruptedTrainingError
from fkd.core.keypoints import HALF_WIDTH_PX
from fkd.core.metrics import rmse_px
from fkd.data.faces import Faces
from fkd.experiment.experiment import Experiment
from fkd.experiment.network import ResNet
from fkd.experiment.store import MemberFolder, member_name
from fkd.experiment.training import ReduceOnPlateau, Training
from fkd.training.augment import Batch, Batches
from fkd.training.batches import prefetched
from fkd.training.network_pool import Metrics, NetworkPool
from fkd.training.networks.losses import build_loss
from fkd.training.networks.optimizers import build_plateau
from fkd.training.networks.resnet import load_pretrained
from fkd.training.predict import predict_mirrored, predict_view, validate
from fkd.training.progress import MemberProgress
from fkd.training.state import TrainingState, load_state, save_state
from fkd.training.test_time_augmentation import view_matrices

# Yields what is to be trained next, is sent what came of it.
Steps = Generator[tuple[keras.Model, Batch], Metrics, None]


@dataclass(frozen=True)
class MemberTask:
    """What one member learns from.

    experiment: as this member is trained. validation: the specialist's rows that judge it.
    """

    experiment: Experiment
    specialist: str
    index: int
    batches: Batches
    validation: Faces

    @property
    def name(self) -> str:
        """`<specialist>/<index>`, as in the store."""
        return member_name(self.specialist, self.index)

    @property
    def kind(self) -> tuple[str, Training]:
        """What is the same for members that can be trained in the same networks."""
        return self.specialist, self.experiment.training

    @property
    def seed(self) -> tuple[int, ...]:
        """What the member's weights and batches are a function of."""
        return self.experiment.member_seed(self.specialist, self.index)


class MemberTraining:
    """The training of one member, from its last saved state to its end.

    pool: compiled networks of the member's specialist. why_stop: asked after every batch; a reason ends the
    training. on_saved: told of every save.
    """

    def __init__(
        self,
        task: MemberTask,
        folder: MemberFolder,
        pool: NetworkPool,
        progress: MemberProgress,
        why_stop: Callable[[], str | None],
        on_saved: Callable[[MemberFolder], None],
        tensorboard: bool = False,
    ) -> None:
        self._task, self._folder, self._pool, self._progress = task, folder, pool, progress
        self._why_stop, self._on_saved, self._tensorboard = why_stop, on_saved, tensorboard
        experiment = task.experiment
        self._training, self._network = experiment.training, experiment.network
        self._loss = build_loss(experiment.training, experiment.network)
        self._truth_px = task.validation.keypoints[:, experiment.point_indices(task.specialist)]

    def steps(self) -> Steps:
        """Train to the end and write the member's files, done.json last.

        A generator, so that several members can be trained in one step: it yields a network and the batch
        that it is to be trained on, and is sent the metrics of this step. Raises InterruptedTrainingError,
        after saving, when a stop is asked for, and UserError when the training diverges before its first
        valid epoch or pretrained weights cannot be had.
        """
        remove_leftovers(self._folder.path)
        self._model = self._pool.take(self._task.seed)
        try:
            self._state = load_state(self._folder, self._model, self._progress.say)
            if isinstance(self._network, ResNet) and (self._state.epoch, self._state.batch) == (0, 0):
                load_pretrained(self._model, self._network)
            self._plateau = self._replayed_plateau()
            self._saved_at_s = time.monotonic()
            self._progress.start_member(self._task.name, self._state.epoch, self._state.batch)
            with closing(prefetched(self._task.batches, self._state.epoch, self._state.batch)) as stream:
                yield from self._epochs(stream)
            if not self._state.best_epoch:
                raise UserError(
                    f"{self._task.name}: the training diverged; lower training.optimizer.learning_rate"
                )
            self._save()
            self._finish()
        finally:
            self._pool.give_back(self._model)

    def _epochs(self, stream: Iterator[Batch]) -> Steps:
        state, images = self._state, len(self._task.batches.images)
        while not _finished(state, self._training, images):
            batches = self._training.batches_in_epoch(state.epoch, images, self._task.batches.batch_size)
            while state.batch < batches:
                yield from self._batch(stream)
                self._save_if_due()
            self._validate()
            self._save_if_due()

    def _replayed_plateau(self) -> keras.callbacks.Callback | None:
        """The schedule that looks at the validation, told of all epochs so far; None for the others."""
        training = self._training
        if not isinstance(training.schedule, ReduceOnPlateau):
            return None
        plateau = build_plateau(training.schedule, self._model, training.optimizer.learning_rate)
        for record in self._state.history:
            plateau.on_epoch_end(int(record["epoch"]), dict(record))
        return plateau

    def _batch(self, stream: Iterator[Batch]) -> Steps:
        state, started_s = self._state, time.monotonic()
        images, targets = next(stream)
        metrics = yield self._model, (images, targets)
        for name, value in metrics.items():
            state.epoch_sums[name] = state.epoch_sums.get(name, 0.0) + value * len(images)
        state.batch += 1
        state.epoch_images += len(images)
        state.epoch_seconds += time.monotonic() - started_s
        batches, loss = len(self._task.batches), state.epoch_mean("loss")
        self._progress.batch(self._task.name, state.batch, batches, loss, len(images))

    def _validate(self) -> None:
        """End the epoch: measure it, keep the weights if they are the best, record it."""
        state, started_s = self._state, time.monotonic()
        loss = state.epoch_mean("loss")
        judged = self._pool.evaluated(self._model)
        predictions_px, validation_loss = self._predict_validation(judged)
        validation_rmse_px = rmse_px(predictions_px, self._truth_px)
        state.epoch, state.batch = state.epoch + 1, 0
        if validation_rmse_px < state.best_rmse_px:
            state.best_epoch, state.best_rmse_px = state.epoch, validation_rmse_px
            state.best_weights = judged.get_weights()
        record = {
            "epoch": state.epoch,
            "images": state.epoch_images,
            "learning_rate": float(self._model.optimizer.learning_rate),
            "loss": loss,
            "validation_loss": validation_loss,
            "rmse_px": math.sqrt(state.epoch_mean("squared_error")) * HALF_WIDTH_PX,
            "validation_rmse_px": validation_rmse_px,
            "training_seconds": round(state.epoch_seconds, 3),
            "seconds": round(state.epoch_seconds + time.monotonic() - started_s, 3),
        }
        state.history.append(record)
        state.epoch_seconds, state.epoch_images, state.epoch_sums = 0.0, 0, {}
        if self._plateau:
            self._plateau.on_epoch_end(state.epoch, dict(record))
        if self._tensorboard:
            _log_to_tensorboard(self._folder, state)
        self._progress.epoch(self._task.name, loss, validation_rmse_px, state.best_rmse_px, state.best_epoch)

    def _predict_validation(self, model: keras.Model) -> tuple[npt.NDArray[np.float32], float]:
        """Pixel predictions for the validation rows, shape (rows, points, 2), and their mean loss."""
        images = self._task.validation.images
        return validate(model, self._network, self._loss, images, self._truth_px)

    def _save_if_due(self) -> None:
        """Save when the last time is long ago; when a stop is asked for, save and raise."""
        reason = self._why_stop()
        if reason or time.monotonic() - self._saved_at_s >= self._training.checkpoint_seconds:
            self._save()
        if reason:
            raise InterruptedTrainingError(
                f"{reason}: {self._task.name} is saved after epoch {self._state.epoch}, "
                f"batch {self._state.batch}; run the same command again to go on"
            )

    def _save(self) -> None:
        save_state(self._folder, self._model, self._state)
        _write_history(self._folder, self._state)
        self._saved_at_s = time.monotonic()
        self._on_saved(self._folder)

    def _finish(self) -> None:
        """Write what selector and predictor read: the best weights and their validation predictions."""
        state, folder = self._state, self._folder
        best = self._pool.evaluated(self._model)
        best.set_weights(state.best_weights)
        with atomic_path(folder.best_weights) as temporary:
            best.save_weights(temporary)
        atomic_write_array(folder.validation, self._predict_validation(best)[0])
        files = [folder.best_weights, folder.validation, folder.history, *self._look_again(best)]
        done = {
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "best_rmse_px": state.best_rmse_px,
            "saving_seconds": round(state.saving_seconds, 3),
            "files": {path.name: sha256(path) for path in files},
        }
        atomic_write_json(folder.done, done)
        self._on_saved(folder)
        self._progress.finish_member(self._task.name, state.best_rmse_px, state.best_epoch)

    def _look_again(self, best: keras.Model) -> list[Path]:
        """Write what the best weights see in the mirror and in further views; returns the files."""
        experiment, folder, images = self._task.experiment, self._folder, self._task.validation.images
        twins, files = experiment.twin_positions(self._task.specialist), []
        if twins is not None:
            mirrored_px = predict_mirrored(best, self._network, twins, images)
            atomic_write_array(folder.mirrored_validation, mirrored_px)
            files.append(folder.mirrored_validation)
        if further := view_matrices(experiment.prediction.views)[1:]:
            views_px = [predict_view(best, self._network, twins, images, matrix) for matrix in further]
            atomic_write_array(folder.views_validation, np.stack(views_px))
            files.append(folder.views_validation)
        return files


def _finished(state: TrainingState, training: Training, images_per_epoch: int) -> bool:
    """At the last epoch, out of patience, or diverged."""
    return (
        state.epoch >= training.epochs_at_most(images_per_epoch)
        or state.epoch - state.best_epoch >= training.patience_epochs
        or (bool(state.history) and not math.isfinite(state.history[-1]["loss"]))
    )


def _write_history(folder: MemberFolder, state: TrainingState) -> None:
    if not state.history:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(state.history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(state.history)
    atomic_write_bytes(folder.history, text.getvalue().encode())


def _log_to_tensorboard(folder: MemberFolder, state: TrainingState) -> None:
    import tensorflow as tf  # other backends train without it

    record = state.history[-1]
    with tf.summary.create_file_writer(str(folder.logs)).as_default(step=state.epoch):
        for name, value in record.items():
            tf.summary.scalar(name, value)
