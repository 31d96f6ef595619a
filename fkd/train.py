"""Training one member, exactly resumable after every batch; nothing here knows about ensembles.

The loop is fkd's own rather than `Model.fit`: Keras' callbacks forget patience and best score when a
training is taken up again (keras issue 17012).
"""

import csv
import io
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import count, islice

import keras
import numpy as np
import numpy.typing as npt

from fkd.augment import Batch, Batches
from fkd.data.faces import Faces
from fkd.device import visible_gpus
from fkd.ensemble import rmse_px
from fkd.errors import UserError
from fkd.experiment import Experiment
from fkd.interrupt import InterruptedTrainingError
from fkd.keypoints import HALF_WIDTH_PX
from fkd.models.build import build_loss, build_metric, build_model, build_optimizer, build_plateau
from fkd.models.resnet import load_pretrained
from fkd.predict import validate
from fkd.progress import Progress
from fkd.resume import TrainingState, load_state, save_state
from fkd.settings.network import ResNet
from fkd.settings.training import ReduceOnPlateau, Training
from fkd.store import (
    MemberFolder,
    atomic_path,
    atomic_write_array,
    atomic_write_bytes,
    atomic_write_json,
    member_name,
    remove_leftovers,
    sha256,
)

_AUGMENTING_THREADS = 2


@dataclass(frozen=True)
class MemberTask:
    """What one member learns from; `training` and `validation` hold the specialist's rows."""

    experiment: Experiment
    specialist: str
    index: int
    training: Faces
    validation: Faces

    @property
    def name(self) -> str:
        """`<specialist>/<index>`, as in the store."""
        return member_name(self.specialist, self.index)


class MemberTraining:
    """The training of one member, from its last saved state to its end.

    why_stop: asked after every batch; a reason ends the training. on_saved: told of every save.
    """

    def __init__(
        self,
        task: MemberTask,
        folder: MemberFolder,
        progress: Progress,
        why_stop: Callable[[], str | None],
        on_saved: Callable[[MemberFolder], None],
        tensorboard: bool = False,
    ) -> None:
        self._task, self._folder, self._progress = task, folder, progress
        self._why_stop, self._on_saved, self._tensorboard = why_stop, on_saved, tensorboard
        experiment, schema = task.experiment, task.experiment.schema_points
        settings = experiment.specialists[task.specialist]
        targets = schema.indices(settings.keypoints)
        seed = experiment.member_seed(task.specialist, task.index)
        self._training, self._network = experiment.training, experiment.network
        self._loss = build_loss(experiment.training, experiment.network)
        self._truth_px = task.validation.keypoints[:, targets]
        self._batches = Batches(
            task.training.images,
            task.training.keypoints,
            experiment.augmentation,
            schema,
            targets,
            settings.batch_size,
            seed,
        )
        self._model = compile_member(experiment, len(targets), seed, len(self._batches))
        _trace(self._model, self._batches)

    def run(self) -> None:
        """Train to the end and write the member's files, done.json last.

        Raises InterruptedTrainingError, after saving, when a stop is asked for, and UserError when the
        training diverges before its first valid epoch or pretrained weights cannot be had.
        """
        remove_leftovers(self._folder.path)
        self._state = load_state(self._folder, self._model, self._progress.say)
        if isinstance(self._network, ResNet) and (self._state.epoch, self._state.batch) == (0, 0):
            load_pretrained(self._model, self._network)
        self._plateau = self._replayed_plateau()
        self._saved_at_s = time.monotonic()
        self._progress.start_member(self._task.name, self._state.epoch, self._state.batch)
        with closing(_prefetched(self._batches, self._state.epoch, self._state.batch)) as stream:
            while not _finished(self._state, self._training, len(self._batches.images)):
                while self._state.batch < _epoch_batches(self._state.epoch, self._training, self._batches):
                    self._train_batch(stream)
                    self._save_if_due()
                self._validate()
                self._save_if_due()
        if not self._state.best_epoch:
            raise UserError(
                f"{self._task.name}: the training diverged; lower training.optimizer.learning_rate"
            )
        self._save()
        self._finish()

    def _replayed_plateau(self) -> keras.callbacks.Callback | None:
        """The schedule that looks at the validation, told of all epochs so far; None for the others."""
        training = self._training
        if not isinstance(training.schedule, ReduceOnPlateau):
            return None
        plateau = build_plateau(training.schedule, self._model, training.optimizer.learning_rate)
        for record in self._state.history:
            plateau.on_epoch_end(int(record["epoch"]), dict(record))
        return plateau

    def _train_batch(self, stream: Iterator[Batch]) -> None:
        state, started_s = self._state, time.monotonic()
        images, targets = next(stream)
        for name, value in self._model.train_on_batch(images, targets, return_dict=True).items():
            state.epoch_sums[name] = state.epoch_sums.get(name, 0.0) + float(value) * len(images)
        state.batch += 1
        state.epoch_images += len(images)
        state.epoch_seconds += time.monotonic() - started_s
        self._progress.batch(state.batch, len(self._batches), state.epoch_mean("loss"), len(images))

    def _validate(self) -> None:
        """End the epoch: measure it, keep the weights if they are the best, record it."""
        state, started_s = self._state, time.monotonic()
        loss = state.epoch_mean("loss")
        predictions_px, validation_loss = self._predict_validation()
        validation_rmse_px = rmse_px(predictions_px, self._truth_px)
        state.epoch, state.batch = state.epoch + 1, 0
        if validation_rmse_px < state.best_rmse_px:
            state.best_epoch, state.best_rmse_px = state.epoch, validation_rmse_px
            state.best_weights = self._model.get_weights()
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
        self._progress.epoch(loss, validation_rmse_px, state.best_rmse_px, state.best_epoch)

    def _predict_validation(self) -> tuple[npt.NDArray[np.float32], float]:
        """Pixel predictions for the validation rows, shape (rows, points, 2), and their mean loss."""
        images = self._task.validation.images
        return validate(self._model, self._network, self._loss, images, self._truth_px)

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
        self._model.set_weights(state.best_weights)
        with atomic_path(folder.best_weights) as temporary:
            self._model.save_weights(temporary)
        atomic_write_array(folder.validation, self._predict_validation()[0])
        files = (folder.best_weights, folder.validation, folder.history)
        done = {
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "best_rmse_px": state.best_rmse_px,
            "saving_seconds": round(state.saving_seconds, 3),
            "files": {path.name: sha256(path) for path in files},
        }
        atomic_write_json(folder.done, done)
        self._on_saved(folder)
        self._progress.finish_member(state.best_rmse_px, state.best_epoch)


def compile_member(
    experiment: Experiment, points: int, seed: tuple[int, ...], batches_per_epoch: int
) -> keras.Model:
    """A freshly initialised member with its optimiser's variables in place, ready to train or to resume."""
    network, training = experiment.network, experiment.training
    model = build_model(network, points, seed)
    model.compile(
        build_optimizer(training, batches_per_epoch),
        loss=build_loss(training, network),
        metrics=[build_metric(network)],
        # XLA halves the speed of small convolutions on the CPU and pays on a GPU.
        jit_compile="auto" if visible_gpus() else False,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _trace(model: keras.Model, batches: Batches) -> None:
    """Let the framework trace a step for a full and for the last, smaller batch, then forget the steps.

    TensorFlow traces the second shape it meets for all shapes, and that trace rounds otherwise: which batch
    comes first after a resume must not matter.
    """
    variables = [*model.variables, *model.optimizer.variables]
    initial = [keras.ops.convert_to_numpy(variable) for variable in variables]
    for index in (0, len(batches) - 1):
        model.train_on_batch(*batches(0, index))
    for variable, value in zip(variables, initial, strict=True):
        variable.assign(value)


def _finished(state: TrainingState, training: Training, images_per_epoch: int) -> bool:
    """At the last epoch, out of patience, or diverged."""
    return (
        state.epoch >= training.epochs_at_most(images_per_epoch)
        or state.epoch - state.best_epoch >= training.patience_epochs
        or (bool(state.history) and not math.isfinite(state.history[-1]["loss"]))
    )


def _epoch_batches(epoch: int, training: Training, batches: Batches) -> int:
    """Batches of an epoch, counted from 0: all, or fewer where it reaches max_images."""
    if training.max_images is None:
        return len(batches)
    images_left = training.max_images - epoch * len(batches.images)
    return min(len(batches), -(-images_left // batches.batch_size))


def _prefetched(batches: Batches, first_epoch: int, first_index: int) -> Generator[Batch, None, None]:
    """All batches from a place on, in order, the next ones prepared while the current one trains."""
    positions = ((epoch, index) for epoch in count(first_epoch) for index in range(len(batches)))
    with ThreadPoolExecutor(_AUGMENTING_THREADS) as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for epoch, index in islice(positions, first_index, None):
                waiting.append(pool.submit(batches, epoch, index))
                if len(waiting) > _AUGMENTING_THREADS:
                    yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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
