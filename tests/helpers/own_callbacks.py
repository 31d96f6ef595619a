"""Callbacks that experiment files of the tests name by their import paths."""

import itertools

import keras


class HalvesTheRate(keras.callbacks.Callback):
    """Halves the learning rate after every `every`-th epoch in which the loss fell."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every, self.falls, self.former = every, 0, float("inf")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.falls += logs["loss"] < self.former
        self.former = logs["loss"]
        if self.falls == self.every:
            self.falls = 0
            self.model.optimizer.learning_rate = 0.5 * float(self.model.optimizer.learning_rate)


class ReadsWeights(keras.callbacks.Callback):
    """Depends on what is gone after a resume."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.model.get_weights()


class HearsBatches(keras.callbacks.Callback):
    """Depends on what is not recorded."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        pass


class RemembersFormerTrainings(keras.callbacks.Callback):
    """Decides otherwise the second time."""

    trainings = itertools.count()

    def on_train_begin(self, logs: None = None) -> None:
        self.model.stop_training = next(self.trainings) % 2 == 1


class Fails(keras.callbacks.Callback):
    """Has a mistake."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        logs["no such figure"]


class EndsAtOnce(keras.callbacks.Callback):
    """Asks for the end before anything is trained."""

    def on_epoch_begin(self, epoch: int, logs: None = None) -> None:
        self.model.stop_training = True


def rate_of_epoch(epoch: int, rate: float) -> float:
    """A schedule."""
    return 0.9 * rate if epoch else rate


def nothing(*news: object) -> None:
    """A hook."""
