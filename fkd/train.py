"""Training one member, exactly resumable after every epoch; nothing here knows about ensembles.

The loop is fkd's own rather than `Model.fit`: Keras' callbacks forget patience and best score when a
training is taken up again (keras issue 17012).
"""

import csv
import io
import math
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice

import keras
import numpy as np

from fkd.augment import Batch, Batches
from fkd.data.faces import Faces
from fkd.device import visible_gpus
from fkd.ensemble import rmse_px
from fkd.errors import UserError
from fkd.experiment import Experiment
from fkd.keypoints import HALF_WIDTH_PX
from fkd.models.build import build_model, build_optimizer
from fkd.predict import predict_pixels
from fkd.progress import Progress
from fkd.resume import TrainingState, load_state, save_state
from fkd.store import MemberFolder, atomic_path, atomic_write_array, atomic_write_bytes, atomic_write_json

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
        return f"{self.specialist}/{self.index:02d}"


def train_member(
    task: MemberTask, folder: MemberFolder, progress: Progress, tensorboard: bool = False
) -> None:
    """Train a member to its end, going on from its last saved epoch.

    Writes state, best weights, history, validation predictions (pixels) and, last, done.json. Raises
    UserError when the training diverges before its first valid epoch.
    """
    experiment = task.experiment
    schema = experiment.schema_points
    settings = experiment.specialists[task.specialist]
    targets = schema.indices(settings.keypoints)
    seed = experiment.member_seed(task.specialist, task.index)
    batches = Batches(
        task.training.images,
        task.training.keypoints,
        experiment.augmentation,
        schema,
        targets,
        settings.batch_size,
        seed,
    )
    model = compile_member(experiment, len(targets), seed)
    state = load_state(folder, model, progress.say)
    truth = task.validation.keypoints[:, targets]
    progress.start_member(task.name, state.epoch)
    stream = _prefetched(batches, state.epoch)
    while not _finished(state, experiment):
        started_s = time.monotonic()
        loss = _train_epoch(model, islice(stream, len(batches)), len(batches), progress)
        validation_rmse_px = rmse_px(predict_pixels(model, task.validation.images), truth)
        state.epoch += 1
        state.history.append(
            {
                "epoch": state.epoch,
                "loss": loss,
                "rmse_px": math.sqrt(loss) * HALF_WIDTH_PX,
                "validation_rmse_px": validation_rmse_px,
                "seconds": round(time.monotonic() - started_s, 3),
            }
        )
        if validation_rmse_px < state.best_rmse_px:
            state.best_epoch, state.best_rmse_px = state.epoch, validation_rmse_px
            _save_weights(model, folder)
        save_state(folder, model, state)
        _write_history(folder, state)
        if tensorboard:
            _log_to_tensorboard(folder, state)
        progress.epoch(loss, validation_rmse_px, state.best_rmse_px, state.best_epoch)
    stream.close()
    if not state.best_epoch:
        raise UserError(f"{task.name}: the training diverged; lower training.optimizer.learning_rate")
    _finish(model, task, folder, state)
    progress.finish_member(state.best_rmse_px, state.best_epoch)


def compile_member(experiment: Experiment, points: int, seed: tuple[int, ...]) -> keras.Model:
    """A freshly initialised member with its optimiser's variables in place, ready to train or to resume."""
    model = build_model(experiment.network, points, seed)
    # XLA halves the speed of small convolutions on the CPU and pays on a GPU.
    jit_compile = "auto" if visible_gpus() else False
    model.compile(build_optimizer(experiment.training.optimizer), loss="mse", jit_compile=jit_compile)
    model.optimizer.build(model.trainable_variables)
    return model


def _finished(state: TrainingState, experiment: Experiment) -> bool:
    """At the last epoch, out of patience, or diverged."""
    training = experiment.training
    return (
        state.epoch >= training.max_epochs
        or state.epoch - state.best_epoch >= training.patience_epochs
        or (bool(state.history) and not math.isfinite(state.history[-1]["loss"]))
    )


def _train_epoch(model: keras.Model, stream: Iterator[Batch], batches: int, progress: Progress) -> float:
    """Train on an epoch's batches; returns the mean loss."""
    model.reset_metrics()
    loss = math.nan
    for number, (images, targets) in enumerate(stream, start=1):
        loss = float(model.train_on_batch(images, targets))
        progress.batch(number, batches, loss, len(images))
    return loss


def _prefetched(batches: Batches, first_epoch: int) -> Generator[Batch, None, None]:
    """All batches from an epoch on, in order, the next ones prepared while the current one trains."""
    positions = ((epoch, index) for epoch in count(first_epoch) for index in range(len(batches)))
    with ThreadPoolExecutor(_AUGMENTING_THREADS) as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for epoch, index in positions:
                waiting.append(pool.submit(batches, epoch, index))
                if len(waiting) > _AUGMENTING_THREADS:
                    yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _save_weights(model: keras.Model, folder: MemberFolder) -> None:
    with atomic_path(folder.best_weights) as temporary:
        model.save_weights(temporary)


def _write_history(folder: MemberFolder, state: TrainingState) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(state.history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(state.history)
    atomic_write_bytes(folder.history, text.getvalue().encode())


def _log_to_tensorboard(folder: MemberFolder, state: TrainingState) -> None:
    import tensorflow as tf  # other backends train without it

    record = state.history[-1]
    with tf.summary.create_file_writer(str(folder.logs)).as_default(step=state.epoch):
        for name in ("loss", "rmse_px", "validation_rmse_px"):
            tf.summary.scalar(name, record[name])


def _finish(model: keras.Model, task: MemberTask, folder: MemberFolder, state: TrainingState) -> None:
    _write_history(folder, state)  # again, in case the last state outlived a kill before its history
    model.load_weights(folder.best_weights)
    predictions = predict_pixels(model, task.validation.images)
    atomic_write_array(folder.validation, predictions.astype(np.float32))
    atomic_write_json(
        folder.done,
        {"epochs": state.epoch, "best_epoch": state.best_epoch, "best_rmse_px": state.best_rmse_px},
    )
