"""What a search may change of an experiment, and what a trial of it draws."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import model_validator

from fkd.core.errors import UserError
from fkd.experiment.settings import Settings, read_settings, validated

_DIGITS = 4  # of a drawn number: more say nothing, and are a pain to read

_FORMS = "{choice: [values]}, {uniform: [low, high]}, {log_uniform: [low, high]}"


class Distribution(Settings):
    """The values of one setting: one of a list, or a number between two, by its logarithm where asked."""

    choice: tuple[Any, ...] | None = None
    uniform: tuple[float, float] | None = None
    log_uniform: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _is_one_and_can_be_drawn(self) -> "Distribution":
        if len(self.model_fields_set) != 1 or not any(self.model_dump().values()):
            raise ValueError(f"expected one of {_FORMS}")
        low, high = self.uniform or self.log_uniform or (0.0, 1.0)
        if not low < high or (self.log_uniform and low <= 0):
            raise ValueError("expected low < high, and both above 0 for log_uniform")
        return self

    def draw(self, rng: np.random.Generator) -> Any:
        """A value; numbers have as many digits as a person would write."""
        if self.choice:
            return self.choice[rng.integers(len(self.choice))]
        if self.uniform:
            return float(f"{rng.uniform(*self.uniform):.{_DIGITS}g}")
        assert self.log_uniform
        return float(f"{np.exp(rng.uniform(*np.log(self.log_uniform))):.{_DIGITS}g}")


Space = Mapping[str, Distribution]


def read_space(path: Path) -> Space:
    """Distributions by setting, such as `training.optimizer.learning_rate`; raises UserError."""
    settings = read_settings(path)
    for name, distribution in settings.items():
        if not isinstance(distribution, dict):
            raise UserError(f"{path}: {name}: expected one of {_FORMS}, received {distribution!r}")
    return {
        name: validated(Distribution, distribution, f"{path}: {name}")
        for name, distribution in settings.items()
    }


def draw_settings(space: Space, seed: int, trial: int) -> tuple[str, ...]:
    """What a trial puts over the experiment, as `key=value`: a function of seed and trial's number alone."""
    rng = np.random.default_rng([seed, trial])
    return tuple(f"{name}={_yaml(space[name].draw(rng))}" for name in sorted(space))


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).partition("\n")[0]
