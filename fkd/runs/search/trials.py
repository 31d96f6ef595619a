"""The trials of a search: what each puts over an experiment, and the files that tell how they came out."""

import csv
import hashlib
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from fkd.core.errors import UserError
from fkd.core.files import atomic_write_bytes
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import EXPERIMENTS_FOLDER, apply_override, experiment_file, load_experiment
from fkd.runs.search.space import Space, draw_settings

_SHORT = 8  # characters of a checksum that tell trials apart


@dataclass(frozen=True)
class SearchPlan:
    """What a search is asked for.

    space: file of the settings and their values. first_epochs: before these no trial ends. specialist: whose
    error counts, None for the only one. output: file for the best, None for the usual one.
    """

    space: Path
    trials: int
    first_epochs: int
    specialist: str | None = None
    output: Path | None = None


@dataclass(frozen=True)
class Trial:
    """One experiment of a search.

    name: a function of what is drawn. asked: what all trials put over the searched experiment, as
    `key=value`; drawn: what this one does. experiment: has the searched specialist alone.
    """

    name: str
    drawn: tuple[str, ...]
    asked: tuple[str, ...]
    experiment: Experiment


@dataclass(frozen=True)
class Outcome:
    """How far a trial came: epochs and the lowest validation RMSE in pixels, infinite where it failed."""

    trial: Trial
    epochs: int
    best_rmse_px: float

    def __str__(self) -> str:
        came = f"{self.best_rmse_px:.3f} px" if math.isfinite(self.best_rmse_px) else "failed"
        return f"{self.trial.name}: {came} after {self.epochs} epochs: {' '.join(self.trial.drawn)}"


def specialist_to_search(experiment: Experiment, asked_for: str | None) -> str:
    """The specialist whose error counts; raises UserError where it must be named, or is not there."""
    names = experiment.beginning  # the others need what these have learned
    if asked_for in names or (asked_for is None and len(names) == 1):
        return asked_for or names[0]
    raise UserError(
        f"--specialist: expected one of {', '.join(names)}, received {asked_for or 'none'}; "
        "a trial trains one network"
    )


def draw_trials(
    experiment: str, asked: tuple[str, ...], specialist: str, space: Space, count: int
) -> list[Trial]:
    """Trials number 0 up, without repetitions; more trials begin with the same ones.

    experiment: name or path; asked: what is put over it in all trials. Raises UserError where a drawn setting
    cannot be.
    """
    searched = load_experiment(experiment, asked)
    trials: dict[tuple[str, ...], Trial] = {}
    for number in range(count):
        drawn = draw_settings(space, searched.seed, number)
        tried = load_experiment(experiment, (*asked, *drawn))
        if specialist not in tried.specialists:
            raise UserError(f"the space takes {specialist} away; leave it in")
        alone = tried.specialists[specialist].model_copy(update={"members": 1})
        tried = tried.model_copy(update={"specialists": {specialist: alone}})
        digest = hashlib.sha256(" ".join((specialist, *asked, *drawn)).encode()).hexdigest()[:_SHORT]
        trials[drawn] = trials.get(drawn) or Trial(f"{tried.name}-{digest}", drawn, asked, tried)
    return list(trials.values())


def write_results(
    outcomes: Sequence[Outcome], experiment: str, plan: SearchPlan, folder: Path, data_name: str
) -> tuple[Path, Path]:
    """Write all outcomes as a CSV table into `folder`, and the first, the best, as an experiment file.

    experiment: name or path of the one that was searched. Returns the two files.
    """
    name = f"{experiment_file(experiment).stem}-{plan.space.stem}"
    table = folder / f"{name}-{data_name}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(table, _table(outcomes).encode())
    file = plan.output or EXPERIMENTS_FOLDER / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    best, settings = outcomes[0], dict[str, object]()
    for override in (*best.trial.asked, *best.trial.drawn):
        apply_override(settings, override)
    base = os.path.relpath(experiment_file(experiment).with_suffix(""), file.parent)
    specialist = next(iter(best.trial.experiment.specialists))
    lines = [
        f"# Purpose: {experiment} with the best of {len(outcomes)} trials of {plan.space}.",
        f"# Command: fkd train {file}",
        f"# Observed: {best.best_rmse_px:.3f} px, one member of {specialist} after {best.epochs} epochs,",
        "#           on the validation faces that chose it",
        "",
        yaml.safe_dump({"base": base, **settings}, sort_keys=False),
    ]
    atomic_write_bytes(file, "\n".join(lines).encode())
    return table, file


def _table(outcomes: Sequence[Outcome]) -> str:
    text = io.StringIO()
    names = [setting.partition("=")[0] for setting in outcomes[0].trial.drawn]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "best_rmse_px", "epochs", *names])
    for outcome in outcomes:
        values = [setting.partition("=")[2] for setting in outcome.trial.drawn]
        writer.writerow([outcome.trial.name, f"{outcome.best_rmse_px:.3f}", outcome.epochs, *values])
    return text.getvalue()
