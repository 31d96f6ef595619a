"""The training loop: one step of several members, and one member from its last saved state to its end.

A step, in the order in which it happens: `MemberTraining._train_batches` yields a network and a batch;
`train_together` collects those of all members, lets `NetworkPool.train` train them in one compiled step, and
sends each member its metrics. After the last batch of an epoch, `MemberTraining._validate` has the network
judged, again with those of the others, and ends the epoch.

The loop is fkd's own rather than `Model.fit`, and resumes exactly after every batch. Keras' callbacks take
part in it: see `fkd.training.callbacks`.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.files import remove_leftovers
from fkd.core.interrupt import InterruptedTrainingError
from fkd.core.keypoints import HALF_WIDTH_PX
from fkd.core.lean_keras import keras
from fkd.core.metrics import rmse_px
from fkd.experiment.store import HistoryColumn as Column
from fkd.experiment.store import MemberFolder
from fkd.training.augment import Batch
from fkd.training.batches import prefetched
from fkd.training.callbacks import MemberCallbacks
from fkd.training.member_files import load_best_weights, log_to_tensorboard, write_final_files, write_history
from fkd.training.member_task import MemberTask
from fkd.training.network_pool import NetworkPool
from fkd.training.networks.build import load_pretrained
from fkd.training.networks.codecs import codec_of
from fkd.training.predict import predict_points
from fkd.training.progress import MemberProgress
from fkd.training.state import load_state, save_state


@dataclass(frozen=True, eq=False)
class ToTrain:
    """A network and batches to train it on: one, or as many full ones as go into one call."""

    model: keras.Model
    batches: Sequence[Batch]


@dataclass(frozen=True, eq=False)
class ToJudge:
    """A network and the images to judge it by, the same for all members of a specialist.

    truth_px: shape (n, points, 2).
    """

    model: keras.Model
    images: npt.NDArray[np.uint8]
    truth_px: npt.NDArray[np.float32]


# Yields what is to be done with a network, and is sent the metrics of the first steps, or the judgement.
Steps = Generator[ToTrain | ToJudge, Any, None]


def train_together(pool: NetworkPool, members: Iterable[Steps]) -> None:
    """Train members of one kind to their ends; a step trains all that have not ended yet.

    Raises what they raise; InterruptedTrainingError only after all have saved.
    """
    wanted: dict[Steps, ToTrain | ToJudge] = {}
    interruption = None
    with ExitStack() as closed_at_the_end:
        for member in members:
            closed_at_the_end.enter_context(closing(member))
            with suppress(StopIteration):
                wanted[member] = next(member)
        while wanted:
            for member, result in _results(pool, wanted):
                try:
                    wanted[member] = member.send(result)
                except StopIteration:
                    del wanted[member]
                except InterruptedTrainingError as error:  # the others hear of it within a batch
                    interruption = error
                    del wanted[member]
    if interruption:
        raise interruption


def _results(pool: NetworkPool, wanted: Mapping[Steps, ToTrain | ToJudge]) -> list[tuple[Steps, Any]]:
    """What those get who are to be judged now or, if there are none, all."""
    to_judge = {member: want for member, want in wanted.items() if isinstance(want, ToJudge)}
    if to_judge:
        first = next(iter(to_judge.values()))
        judged = pool.judge([want.model for want in to_judge.values()], first.images, first.truth_px)
        return list(zip(to_judge, judged, strict=True))
    to_train = [want for want in wanted.values() if isinstance(want, ToTrain)]
    models, batches = [want.model for want in to_train], [want.batches for want in to_train]
    if min(map(len, batches)) > 1:
        return list(zip(wanted, pool.train_several(models, batches), strict=True))
    metrics = pool.train(models, [some[0] for some in batches])
    return [(member, [of_step]) for member, of_step in zip(wanted, metrics, strict=True)]


class MemberTraining:
    """The training of one member, from its last saved state to its end.

    pool: compiled networks of the member's specialist. why_stop: asked after every batch; a reason ends the
    training. on_saved: called after every save. unsaved: holds the member's name while it has batches that
    are not saved. tensorboard: whether epochs are logged there, too. augmenting_threads: how many prepare its
    batches.
    """

    def __init__(
        self,
        task: MemberTask,
        folder: MemberFolder,
        pool: NetworkPool,
        progress: MemberProgress,
        *,
        why_stop: Callable[[], str | None],
        on_saved: Callable[[MemberFolder], None],
        unsaved: set[str],
        tensorboard: bool = False,
        augmenting_threads: int = 2,
    ) -> None:
        self._task, self._folder, self._pool, self._progress = task, folder, pool, progress
        self._why_stop, self._on_saved, self._unsaved = why_stop, on_saved, unsaved
        self._tensorboard, self._augmenting_threads = tensorboard, augmenting_threads
        experiment = task.experiment
        self._training, self._codec = experiment.training, codec_of(experiment.network)
        self._truth_px = task.validation.keypoints[:, experiment.point_indices(task.specialist)]

    def steps(self) -> Steps:
        """Train to the end and write the member's files, done.json last.

        A generator, so that several members can be trained in one step; see `train_together`. Raises
        InterruptedTrainingError, after saving, when a stop is asked for, and UserError when the training
        diverges before its first valid epoch or pretrained weights cannot be obtained.
        """
        remove_leftovers(self._folder.path)
        self._model = self._pool.take(self._task.seed)
        try:
            self._state = load_state(self._folder, self._model, self._progress.say)
            if (self._state.epoch, self._state.batch) == (0, 0):
                load_pretrained(self._model, self._task.experiment.network)
                if self._task.start:
                    begun = self._pool.evaluated(self._model)
                    load_best_weights(begun, self._task.start)
                    self._model.set_weights(begun.get_weights())
            self._callbacks = MemberCallbacks(
                self._task.experiment, self._model, self._state, self._keep_best
            )
            self._saved_at_s = time.monotonic()
            self._progress.start_member(self._task.name, self._state.epoch, self._state.batch)
            self._next: deque[Batch] = deque()
            place, threads = (self._state.epoch, self._state.batch), self._augmenting_threads
            with closing(prefetched(self._task.batches, *place, threads)) as stream:
                yield from self._train_epochs(stream)
            if not self._state.best_epoch:
                raise UserError(
                    f"{self._task.name}: the training diverged; lower training.optimizer.learning_rate"
                )
            self._callbacks.end()
            self._save()
            self._finish()
        finally:
            self._unsaved.discard(self._task.name)
            self._pool.give_back(self._model)

    def _train_epochs(self, stream: Iterator[Batch]) -> Steps:
        state, images = self._state, len(self._task.batches.images)
        while not self._is_finished():
            batches = self._training.batches_in_epoch(state.epoch, images, self._task.batches.batch_size)
            self._callbacks.begin_epoch(state)
            # As in Keras, an epoch that is to end has one batch at least.
            while state.batch < batches and not (state.batch and self._callbacks.end_training):
                yield from self._train_batches(stream, batches)
                self._callbacks.end_batch(state)
                self._save_if_due()
            yield from self._validate()
            self._save_if_due()

    def _is_finished(self) -> bool:
        """Whether the training is at its last epoch or, after one epoch, a callback or divergence ends it."""
        state = self._state
        if not state.history:
            return False
        return (
            state.epoch >= self._training.epochs_at_most(len(self._task.batches.images))
            or self._callbacks.end_training
            or not math.isfinite(state.history[-1][Column.LOSS])
        )

    def _train_batches(self, stream: Iterator[Batch], batches: int) -> Steps:
        """Ask for one call's steps on the next batches of the epoch's, and count what comes of them."""
        state, started_s = self._state, time.monotonic()
        missing = self._steps_in_call(batches) - len(self._next)
        self._next.extend(islice(stream, max(0, missing)))
        results = yield ToTrain(self._model, list(self._next))
        state.epoch_seconds += time.monotonic() - started_s
        for metrics in results:
            images = len(self._next.popleft()[0])
            self._unsaved.add(self._task.name)
            for name, value in metrics.items():
                state.epoch_sums[name] = state.epoch_sums.get(name, 0.0) + value * images
            state.batch += 1
            state.epoch_images += images
            loss = state.epoch_mean("loss")
            self._progress.batch(self._task.name, state.batch, len(self._task.batches), loss, images)

    def _steps_in_call(self, batches: int) -> int:
        """How many steps the next call has: by the place in the epoch alone, so a resume has the same."""
        full = min(batches, len(self._task.batches.images) // self._task.batches.batch_size)
        at_most, batch = self._training.steps_per_call, self._state.batch
        return at_most if batch % at_most == 0 and batch + at_most <= full else 1

    def _validate(self) -> Steps:
        """End the epoch: measure it, record it, let the callbacks decide what follows from it."""
        state, started_s = self._state, time.monotonic()
        loss = state.epoch_mean("loss")
        judged = yield ToJudge(self._model, self._task.validation.images, self._truth_px)
        predictions_px, validation_loss = judged
        validation_rmse_px = rmse_px(predictions_px, self._truth_px)
        state.epoch, state.batch = state.epoch + 1, 0
        record: dict[str, float] = {
            Column.EPOCH: state.epoch,
            Column.IMAGES: state.epoch_images,
            Column.LEARNING_RATE: float(self._model.optimizer.learning_rate),
            Column.LOSS: loss,
            Column.VALIDATION_LOSS: validation_loss,
            Column.RMSE_PX: math.sqrt(state.epoch_mean("squared_error")) * HALF_WIDTH_PX,
            Column.VALIDATION_RMSE_PX: validation_rmse_px,
            Column.TRAINING_SECONDS: round(state.epoch_seconds, 3),
            Column.SECONDS: round(state.epoch_seconds + time.monotonic() - started_s, 3),
        }
        state.history.append(record)
        state.epoch_seconds, state.epoch_images, state.epoch_sums = 0.0, 0, {}
        self._callbacks.end_epoch(record)
        if self._tensorboard:
            log_to_tensorboard(self._folder, state)
        self._progress.epoch(self._task.name, loss, validation_rmse_px, state.best_rmse_px, state.best_epoch)

    def _keep_best(self) -> None:
        """What ModelCheckpoint does about the epoch that has just ended."""
        state = self._state
        state.best_epoch, state.best_rmse_px = state.epoch, state.history[-1][Column.VALIDATION_RMSE_PX]
        state.best_weights = self._pool.evaluated(self._model).get_weights()

    def _save_if_due(self) -> None:
        """Save when the last save is `checkpoint_seconds` ago; when a stop is asked for, save and raise."""
        reason = self._why_stop()
        if reason or time.monotonic() - self._saved_at_s >= self._training.checkpoint_seconds:
            self._save()
        if reason:
            raise InterruptedTrainingError(
                f"{reason}: {self._task.name} is saved after epoch {self._state.epoch}, "
                f"batch {self._state.batch}; run the same command again to resume"
            )

    def _save(self) -> None:
        self._pool.settle()
        save_state(self._folder, self._model, self._state)
        write_history(self._folder, self._state)
        self._saved_at_s = time.monotonic()
        self._unsaved.discard(self._task.name)
        self._on_saved(self._folder)

    def _finish(self) -> None:
        """Write what selecting and predicting read, with the weights of the best epoch."""
        state, best = self._state, self._pool.evaluated(self._model)
        best.set_weights(state.best_weights)
        validation_px = predict_points(best, self._codec, self._task.validation.images)
        write_final_files(self._folder, self._task, best, validation_px, state)
        self._on_saved(self._folder)
        self._progress.finish_member(self._task.name, state.best_rmse_px, state.best_epoch)
