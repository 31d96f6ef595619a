"""The optimizer and the learning rate's schedule, as Keras objects."""

from typing import Any

from fkd.core.errors import UserError
from fkd.core.lean_keras import keras
from fkd.experiment.training import CosineDecay, ExponentialDecay, Training


class AdamW(keras.optimizers.AdamW):
    """Keras' own, which asks a schedule for the rate once a step in place of once a variable."""

    _learning_rate: Any

    def _apply_weight_decay(self, variables: Any) -> None:
        schedule, self._learning_rate = self._learning_rate, self.learning_rate
        super()._apply_weight_decay(variables)
        self._learning_rate = schedule


def build_optimizer(training: Training, images_per_epoch: int, batch_size: int) -> keras.optimizers.Optimizer:
    """The Keras optimizer that the settings name, with its schedule where that is a function of the step."""
    settings, average = training.optimizer, training.weight_averaging
    config: dict[str, Any] = {"learning_rate": _learning_rate(training, images_per_epoch, batch_size)}
    if settings.name == "rmsprop":
        config["rho"] = settings.rho
    elif settings.name == "adamw":
        config["weight_decay"] = settings.weight_decay
    if average:
        config |= {"use_ema": True, "ema_momentum": average}
    if settings.name == "adamw":
        return AdamW(**config)
    return keras.optimizers.get({"class_name": settings.name, "config": config})


def _learning_rate(training: Training, images_per_epoch: int, batch_size: int) -> Any:
    rate, schedule = training.optimizer.learning_rate, training.schedule
    batches = training.batches_in_epoch(0, images_per_epoch, batch_size)
    if isinstance(schedule, ExponentialDecay):
        steps = schedule.epochs * batches
        return keras.optimizers.schedules.ExponentialDecay(rate, steps, schedule.rate, schedule.staircase)
    if isinstance(schedule, CosineDecay):
        epochs = schedule.epochs or training.epochs_at_most(images_per_epoch)
        warmup_steps = schedule.warmup_epochs * batches
        falling_steps = epochs * batches - warmup_steps
        if falling_steps <= 0:
            raise UserError(
                f"training.schedule.warmup_epochs: expected less than the {epochs:g} epochs of the schedule, "
                f"received {schedule.warmup_epochs:g}"
            )
        if not warmup_steps:
            return keras.optimizers.schedules.CosineDecay(rate, falling_steps)
        return keras.optimizers.schedules.CosineDecay(
            0.0, falling_steps, warmup_target=rate, warmup_steps=warmup_steps
        )
    return rate
