"""Keras' callbacks in fkd's loop: what ends a member, keeps its best weights, or changes its learning rate.

Keras' own `EarlyStopping` and `ModelCheckpoint` forget patience and best score when a training is resumed
(keras issue 17012). Here every callback is told the recorded epochs again, and so stands where it stood.
That is exact for what depends on the recorded epochs alone: a callback sees neither weights nor batches.
"""

import importlib
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from fkd.core.errors import UserError, one_line
from fkd.core.lean_keras import keras
from fkd.experiment.experiment import Experiment
from fkd.experiment.settings import Named
from fkd.experiment.store import HistoryColumn as Column
from fkd.experiment.training import Constant, ReduceOnPlateau, Training
from fkd.training.state import TrainingState

# Keras passes the epoch by itself, and two trainings of the same experiment take different times.
_NOT_LOGGED = (Column.EPOCH, Column.TRAINING_SECONDS, Column.SECONDS)
_TOLD = {"on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end"}
_NOT_TOLD = {name for name in dir(keras.callbacks.Callback) if name.startswith("on_")} - _TOLD
# Callbacks are tried on epochs whose figures fall until the best one.
_TRIED_EPOCHS, _BEST_EPOCH = 20, 10
_WHY = "a resumed training tells the recorded epochs again, and nothing else; leave it out"


class VisibleOptimizer:
    """What a callback sees of an optimizer."""

    def __init__(self, optimizer: keras.optimizers.Optimizer) -> None:
        self._optimizer = optimizer

    @property
    def learning_rate(self) -> Any:
        """A Keras variable, which can be set where no schedule sets it."""
        return self._optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._optimizer.learning_rate = rate


class VisibleModel:
    """What a callback sees of a network in training: the learning rate, and whether it is to end."""

    def __init__(self, optimizer: keras.optimizers.Optimizer) -> None:
        self.optimizer, self.stop_training = VisibleOptimizer(optimizer), False


class _Keeper(VisibleModel):
    """The same for ModelCheckpoint, which saves weights; nothing is kept before `keep` is set."""

    keep: Callable[[], None] | None = None

    def save_weights(self, filepath: str, overwrite: bool) -> None:
        if self.keep:
            self.keep()


class MemberCallbacks:
    """The callbacks of one member, told of its recorded epochs.

    keep_best: called at the end of an epoch that is the best so far by `training.monitor`. Raises UserError,
    with its name, where a callback fails.
    """

    def __init__(
        self, experiment: Experiment, model: keras.Model, state: TrainingState, keep_best: Callable[[], None]
    ) -> None:
        training = experiment.training
        if isinstance(training.schedule, Constant | ReduceOnPlateau):
            model.optimizer.learning_rate = training.optimizer.learning_rate
        self._model, keeper = VisibleModel(model.optimizer), _Keeper(model.optimizer)
        self._callbacks = [*_own(training), *map(_build, experiment.callbacks)]
        for callback in self._callbacks:
            keeps = isinstance(callback, keras.callbacks.ModelCheckpoint)
            callback.set_params({"epochs": training.max_epochs, "verbose": 0})
            callback.set_model(keeper if keeps else self._model)
        self._tell("on_train_begin")
        for record in state.history:
            self._tell("on_epoch_begin", int(record[Column.EPOCH]) - 1)
            self.end_epoch(record)
        keeper.keep = keep_best

    @property
    def end_training(self) -> bool:
        """Whether a callback has asked for the end."""
        return self._model.stop_training

    def begin_epoch(self, state: TrainingState) -> None:
        """Tell that an epoch begins, or how far it is where it is taken up again."""
        self._tell("on_epoch_begin", state.epoch)
        if state.batch:
            self.end_batch(state)

    def end_batch(self, state: TrainingState) -> None:
        """Tell those who may know it of the loss over the batches of the epoch so far."""
        logs = {Column.LOSS.value: state.epoch_mean("loss")}
        for callback in self._callbacks:
            if isinstance(callback, keras.callbacks.TerminateOnNaN):  # a mean is none from then on
                _tell(callback, "on_train_batch_end", state.batch - 1, logs)

    def end_epoch(self, record: Mapping[str, float]) -> None:
        """Tell an epoch's record, under Keras' name for the validation's loss, too."""
        logs = {str(name): value for name, value in record.items() if name not in _NOT_LOGGED}
        logs["val_loss"] = record[Column.VALIDATION_LOSS]
        self._tell("on_epoch_end", int(record[Column.EPOCH]) - 1, logs)

    def end(self) -> None:
        """Tell that the member's training has ended."""
        self._tell("on_train_end")

    def _tell(self, hook: str, *news: Any) -> None:
        for callback in self._callbacks:
            _tell(callback, hook, *news)


def try_callbacks(experiment: Experiment) -> None:
    """Build the callbacks that an experiment names, and tell them of epochs that are made up.

    Raises UserError, with its name, for one that there is not, that fails, that cannot do without weights or
    batches, or that does not decide the same the second time.
    """
    for named in experiment.callbacks:
        [name] = named
        first, second = (_decisions(_build(named), experiment.training) for _ in range(2))
        if first != second:
            raise UserError(
                f"callbacks: {name}: expected the same decisions for the same epochs, received others the "
                "second time; a resumed training could not repeat them: leave it out"
            )


def _decisions(callback: keras.callbacks.Callback, training: Training) -> list[tuple[float, bool]]:
    """The learning rate and whether to end, after each of some epochs that are made up."""
    rate: Any = training.optimizer.learning_rate
    if not isinstance(training.schedule, Constant | ReduceOnPlateau):
        rate = keras.optimizers.schedules.ExponentialDecay(rate, 1, 1.0)  # as little can be set as that one
    model = VisibleModel(keras.optimizers.SGD(rate))
    callback.set_params({"epochs": training.max_epochs, "verbose": 0})
    callback.set_model(model)
    figures = [*(str(name) for name in Column if name not in _NOT_LOGGED), "val_loss"]
    decisions = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # such as that of a figure that there is not
        _tell(callback, "on_train_begin")
        for epoch in range(_TRIED_EPOCHS):
            _tell(callback, "on_epoch_begin", epoch)
            _tell(callback, "on_epoch_end", epoch, dict.fromkeys(figures, 1 / (1 + min(epoch, _BEST_EPOCH))))
            decisions.append((float(model.optimizer.learning_rate), model.stop_training))
        _tell(callback, "on_train_end")
    return decisions


def _own(training: Training) -> list[keras.callbacks.Callback]:
    """Early stopping, the best weights and, where it is the schedule, a rate that falls on every plateau."""
    stopping = _EarlyStopping(training.monitor, training.min_delta, training.patience_epochs, mode="min")
    checkpoint = keras.callbacks.ModelCheckpoint(
        "in-the-state.weights.h5",
        training.monitor,
        save_best_only=True,
        save_weights_only=True,
        mode="min",
        initial_value_threshold=math.inf,
    )
    for callback in (stopping, checkpoint):  # by Python's comparison: a backend's may round to float32
        callback.monitor_op = operator.lt
        callback.min_delta *= -1
    schedule = training.schedule
    if not isinstance(schedule, ReduceOnPlateau):
        return [stopping, checkpoint]
    plateau = keras.callbacks.ReduceLROnPlateau(
        Column.VALIDATION_RMSE_PX.value,
        factor=schedule.factor,
        patience=schedule.patience_epochs,
        mode="min",
        min_lr=schedule.min_learning_rate,
    )
    return [stopping, checkpoint, plateau]


class _EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' own, for which a first figure that is none is not the best so far."""

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self.best = math.inf


def _build(named: Named) -> keras.callbacks.Callback:
    """A callback from its name and arguments; functions among these are named by their import paths."""
    [(name, arguments)] = named.items()
    kind = _import(name, name) if "." in name else getattr(keras.callbacks, name, None)
    if not (isinstance(kind, type) and issubclass(kind, keras.callbacks.Callback)):
        raise UserError(f"callbacks: {name}: expected a Keras callback, found none of this name; correct it")
    given = {
        key: _import(value, name) if key == "schedule" or key.startswith("on_") else value
        for key, value in arguments.items()
    }
    try:
        callback = kind(**given)
    except Exception as error:  # its own words, whatever kind it is
        raise UserError(f"callbacks: {name}: {one_line(error)}; correct its arguments") from error
    heard = [hook for hook in sorted(_NOT_TOLD) if _hears(callback, hook)]
    if heard and not isinstance(callback, keras.callbacks.TerminateOnNaN):
        raise UserError(
            f"callbacks: {name}: expected one that hears of epochs alone, received {heard[0]}: {_WHY}"
        )
    return callback


def _hears(callback: keras.callbacks.Callback, hook: str) -> bool:
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(keras.callbacks.Callback, hook)


def _import(path: Any, name: str) -> Any:
    module, _, attribute = str(path).rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a module may raise anything
        raise UserError(
            f"callbacks: {name}: {path} cannot be imported ({one_line(error)}); correct it, or put the "
            "folder of its module on PYTHONPATH"
        ) from error


def _tell(callback: keras.callbacks.Callback, hook: str, *news: Any) -> None:
    """Call a hook, with a copy of the figures: Keras' own callbacks add to them."""
    name = type(callback).__name__
    try:
        getattr(callback, hook)(*(dict(one) if isinstance(one, dict) else one for one in news))
    except Exception as error:
        if isinstance(error, AttributeError) and isinstance(error.obj, VisibleModel | VisibleOptimizer):
            problem = f"expected one that needs no network, received one that reads its {error.name}: {_WHY}"
        else:
            problem = f"{hook}: {one_line(error) or type(error).__name__}; correct it or leave it out"
        raise UserError(f"callbacks: {name}: {problem}") from error
