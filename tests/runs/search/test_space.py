from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkd.core.errors import UserError
from fkd.runs.search.space import Distribution, draw_settings, read_space

SPACE = {
    "training.optimizer.learning_rate": Distribution(log_uniform=(1e-4, 1e-2)),
    "training.weight_averaging": Distribution(uniform=(0.9, 0.99)),
    "specialists.four.batch_size": Distribution(choice=(32, 64)),
}


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_trial_draws_within_bounds_and_by_seed_and_number_alone(seed: int, trial: int):
    drawn = draw_settings(SPACE, seed, trial)
    values = dict(setting.split("=") for setting in drawn)
    assert list(values) == sorted(SPACE)
    assert 1e-4 <= float(values["training.optimizer.learning_rate"]) <= 1e-2
    assert 0.9 <= float(values["training.weight_averaging"]) <= 0.99
    assert values["specialists.four.batch_size"] in ("32", "64")
    assert draw_settings(dict(reversed(SPACE.items())), seed, trial) == drawn


def test_half_of_what_is_drawn_by_logarithm_is_below_the_geometric_mean():
    one = {"rate": Distribution(log_uniform=(1e-4, 1e-2))}
    rates = [float(draw_settings(one, 0, trial)[0].removeprefix("rate=")) for trial in range(400)]
    assert 170 < sum(rate < 1e-3 for rate in rates) < 230


def test_a_choice_may_be_a_section_or_a_list():
    one = {"training.schedule": Distribution(choice=({"name": "cosine_decay"},))}
    assert draw_settings(one, 0, 0) == ("training.schedule={name: cosine_decay}",)


def test_a_file_is_read(tmp_path: Path):
    file = tmp_path / "space.yaml"
    file.write_text("training.optimizer.learning_rate: {log_uniform: [1.0e-4, 1.0e-2]}\n")
    assert read_space(file) == {"training.optimizer.learning_rate": Distribution(log_uniform=(1e-4, 1e-2))}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("rate: 3", r"rate: expected one of \{choice"),
        ("rate: {choice: [1], uniform: [0, 1]}", "expected one of"),
        ("rate: {choice: []}", "expected one of"),
        ("rate: {uniform: [1, 0]}", "expected low < high"),
        ("rate: {log_uniform: [0, 1]}", "above 0 for log_uniform"),
        ("rate: {normal: [0, 1]}", "there is no such setting"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(tmp_path: Path, line: str, complaint: str):
    file = tmp_path / "space.yaml"
    file.write_text(line)
    with pytest.raises(UserError, match=complaint):
        read_space(file)
