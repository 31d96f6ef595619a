"""Keras' callbacks told of epochs that are made up; test_member_training has them in whole trainings."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import pytest

from fkd.core.errors import UserError
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.training.callbacks import MemberCallbacks, try_callbacks
from fkd.training.networks.optimizers import build_optimizer
from fkd.training.state import TrainingState


def _experiment(file: Path, *callbacks: dict[str, Any], **training: Any) -> Experiment:
    """The tiny one with other callbacks and training."""
    experiment = load_experiment(str(file)).model_dump()
    return Experiment.model_validate(
        experiment | {"callbacks": callbacks, "training": experiment["training"] | training}
    )


class _Member:
    """A member whose epochs are made up."""

    def __init__(self, experiment: Experiment, history: Sequence[dict[str, float]] = ()) -> None:
        self.kept, self.state = list[int](), TrainingState(epoch=len(history), history=list(history))
        self.model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        self.model.compile(build_optimizer(experiment.training, 8, 8))
        self.callbacks = MemberCallbacks(experiment, self.model, self.state, self._keep)

    def _keep(self) -> None:
        self.kept.append(self.state.epoch)

    def epoch(self, rmse_px: float, loss: float = 1.0) -> tuple[float, bool]:
        """The learning rate and whether to end after one more epoch."""
        self.callbacks.begin_epoch(self.state)
        self.state.epoch += 1
        record = {
            "epoch": self.state.epoch,
            "loss": loss,
            "validation_loss": loss,
            "validation_rmse_px": rmse_px,
            "seconds": 1.0,
        }
        self.state.history.append(record)
        self.callbacks.end_epoch(record)
        return float(self.model.optimizer.learning_rate), self.callbacks.end_training


def test_patience_counts_epochs_without_a_better_one(tiny_experiment: Path):
    member = _Member(_experiment(tiny_experiment, patience_epochs=2))
    ends = [member.epoch(rmse_px)[1] for rmse_px in (5.0, 6.0, 4.0, 4.0, 4.5)]
    assert (ends, member.kept) == ([False, False, False, False, True], [1, 3])


def test_a_gain_of_min_delta_is_none_but_its_weights_are_kept(tiny_experiment: Path):
    member = _Member(_experiment(tiny_experiment, patience_epochs=2, min_delta=0.5))
    ends = [member.epoch(rmse_px)[1] for rmse_px in (5.0, 4.75, 4.5)]
    assert (ends, member.kept) == ([False, False, True], [1, 2, 3])


def test_what_is_monitored_decides(tiny_experiment: Path):
    member = _Member(_experiment(tiny_experiment, patience_epochs=1, monitor="validation_loss"))
    assert [member.epoch(1.0, loss=3.0)[1], member.epoch(2.0, loss=2.0)[1]] == [False, False]
    assert (member.epoch(0.5, loss=2.5)[1], member.kept) == (True, [1, 2])


def test_figures_that_are_none_are_never_the_best(tiny_experiment: Path):
    member = _Member(_experiment(tiny_experiment, patience_epochs=2))
    ends = [member.epoch(rmse_px)[1] for rmse_px in (math.nan, 5.0, math.nan, math.nan)]
    assert (ends, member.kept) == ([False, False, False, True], [2])


def test_figures_are_compared_as_they_are_recorded(tiny_experiment: Path):
    member = _Member(_experiment(tiny_experiment))
    for rmse_px in (1.0, 1.0 - 1e-12):  # the same in float32
        member.epoch(rmse_px)
    assert member.kept == [1, 2]


CALLBACKS = {
    "rates that fall on plateaus": [{"ReduceLROnPlateau": {"monitor": "val_loss", "patience": 1}}],
    "a rate by the epoch": [{"LearningRateScheduler": {"schedule": "own_callbacks.rate_of_epoch"}}],
    "a further end": [{"EarlyStopping": {"monitor": "loss", "patience": 3, "min_delta": 0.1}}],
    "one's own": [{"own_callbacks.HalvesTheRate": {"every": 2}}],
    "a function": [{"LambdaCallback": {"on_epoch_end": "own_callbacks.nothing"}}],
}
FIGURES = [(5.0, 3.0), (4.0, 2.0), (6.0, 2.5), (3.0, 2.25), (3.5, 1.95), (3.25, 2.0), (4.0, 1.94)]


@pytest.mark.parametrize("callbacks", CALLBACKS.values(), ids=CALLBACKS)
@pytest.mark.parametrize("schedule", ["constant", "reduce_on_plateau"])
def test_after_a_resume_everything_is_as_it_was(
    tiny_experiment: Path, callbacks: list[dict[str, Any]], schedule: str
):
    training = {"schedule": {"name": schedule} | ({"patience_epochs": 1} if schedule != "constant" else {})}
    experiment = _experiment(tiny_experiment, *callbacks, patience_epochs=3, **training)
    try_callbacks(experiment)
    undisturbed = _Member(experiment)
    decisions = [undisturbed.epoch(*figures) for figures in FIGURES]
    for told in range(len(FIGURES)):
        resumed = _Member(experiment, undisturbed.state.history[:told])
        assert [resumed.epoch(*figures) for figures in FIGURES[told:]] == decisions[told:]
        assert resumed.kept == [epoch for epoch in undisturbed.kept if epoch > told]
    if callbacks != CALLBACKS["a function"]:
        assert len(set(decisions)) > 1


def test_a_loss_that_is_none_ends_an_epoch_also_when_it_is_taken_up_again(tiny_experiment: Path):
    experiment = _experiment(tiny_experiment, {"TerminateOnNaN": {}})
    for resumed in (False, True):
        member = _Member(experiment)
        if not resumed:
            member.callbacks.begin_epoch(member.state)
        member.state.batch, member.state.epoch_images = 1, 8
        member.state.epoch_sums = {"loss": math.nan}
        tell = member.callbacks.begin_epoch if resumed else member.callbacks.end_batch
        tell(member.state)
        assert member.callbacks.end_training


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"EarlyStoping": {}}, "EarlyStoping: expected a Keras callback, found none of this name"),
    "no callback": ({"own_callbacks.nothing": {}}, "own_callbacks.nothing: expected a Keras callback"),
    "no module": (
        {"no_module.Class": {}},
        "no_module.Class cannot be imported (No module named 'no_module')",
    ),
    "arguments": ({"EarlyStopping": {"pations": 3}}, "EarlyStopping: EarlyStopping.__init__() got an unexp"),
    "no figure": (
        {"EarlyStopping": {"monitor": "val_acc", "mode": "max"}},
        "EarlyStopping: on_epoch_end: Early stopping conditioned on metric `val_acc` which is not available",
    ),
    "weights": ({"own_callbacks.ReadsWeights": {}}, "received one that reads its get_weights: a resumed"),
    "best weights": (
        {"EarlyStopping": {"monitor": "loss", "restore_best_weights": True}},
        "EarlyStopping: expected one that needs no network, received one that reads its get_weights",
    ),
    "batches": ({"own_callbacks.HearsBatches": {}}, "hears of epochs alone, received on_train_batch_end"),
    "a memory": ({"own_callbacks.RemembersFormerTrainings": {}}, "received others the second time"),
    "a mistake": ({"own_callbacks.Fails": {}}, "Fails: on_epoch_end: 'no such figure'; correct it or leave"),
    "a rate": (
        {"LearningRateScheduler": {"schedule": "own_callbacks.rate_of_epoch"}},
        "LearningRateScheduler: on_epoch_begin: This optimizer was created with a `LearningRateSchedule`",
    ),
}


@pytest.mark.parametrize(("callback", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_resumed_is_refused_by_name(
    tiny_experiment: Path, callback: dict[str, Any], problem: str
):
    schedule = "cosine_decay" if "LearningRateScheduler" in callback else "constant"
    experiment = _experiment(tiny_experiment, callback, schedule={"name": schedule})
    with pytest.raises(UserError) as raised:
        try_callbacks(experiment)
    [line] = str(raised.value).splitlines()
    assert line.startswith("callbacks: ")
    assert problem in line
