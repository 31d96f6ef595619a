import math
from pathlib import Path

import pytest

from fkd.core.errors import UserError
from fkd.experiment.files import load_experiment
from fkd.runs.search.space import Distribution
from fkd.runs.search.trials import Outcome, SearchPlan, draw_trials, specialist_to_search, write_results

SPACE = {"specialists.four.batch_size": Distribution(choice=(4, 8))}


def test_trials_are_without_repetitions_and_more_begin_with_the_same(tiny_experiment: Path):
    few, many = (draw_trials(str(tiny_experiment), (), "four", SPACE, count) for count in (1, 50))
    assert many[: len(few)] == few
    assert sorted(trial.drawn for trial in many) == [
        ("specialists.four.batch_size=4",),
        ("specialists.four.batch_size=8",),
    ]
    assert len({trial.name for trial in many}) == 2


def test_a_trial_trains_one_member_of_the_specialist_that_is_searched(tiny_experiment: Path):
    trial, *_ = draw_trials(str(tiny_experiment), ("training.max_epochs=7",), "four", SPACE, 1)
    assert trial.experiment.members == [("four", 0)]
    assert trial.experiment.training.max_epochs == 7
    whole = load_experiment(str(tiny_experiment))
    assert trial.experiment.member_seed("four", 0) == whole.member_seed("four", 0)


def test_the_specialist_must_be_named_where_there_are_several(tiny_experiment: Path):
    experiment = load_experiment(str(tiny_experiment))
    assert specialist_to_search(experiment, "eleven") == "eleven"
    for asked_for in (None, "twelve"):
        with pytest.raises(UserError, match="--specialist: expected one of four, eleven, received"):
            specialist_to_search(experiment, asked_for)
    alone = experiment.model_copy(update={"specialists": {"four": experiment.specialists["four"]}})
    assert specialist_to_search(alone, None) == "four"


def test_the_best_may_change_an_element_of_a_list(tiny_experiment: Path, tmp_path: Path):
    space = {"network.convolutions.1.filters": Distribution(choice=(7,))}
    [trial] = draw_trials(str(tiny_experiment), (), "four", space, 2)
    plan = SearchPlan(tmp_path / "space.yaml", 2, 2, "four", tmp_path / "best.yaml")
    _, file = write_results([Outcome(trial, 7, 2.5)], str(tiny_experiment), plan, tmp_path / "tune", "faces")
    assert load_experiment(str(file)).network == trial.experiment.network


def test_the_best_becomes_an_experiment_file_and_all_a_table(tiny_experiment: Path, tmp_path: Path):
    trials = draw_trials(str(tiny_experiment), ("training.max_epochs=7",), "four", SPACE, 50)
    outcomes = [Outcome(trials[0], 7, 2.5), Outcome(trials[1], 2, math.inf)]
    plan = SearchPlan(tmp_path / "space.yaml", 50, 2, "four", tmp_path / "found" / "best.yaml")
    table, file = write_results(outcomes, str(tiny_experiment), plan, tmp_path / "tune", "faces")

    size = trials[0].experiment.specialists["four"].batch_size
    assert table == tmp_path / "tune" / "tiny-space-faces.csv"
    assert table.read_text().splitlines() == [
        "trial,best_rmse_px,epochs,specialists.four.batch_size",
        f"{trials[0].name},2.500,7,{size}",
        f"{trials[1].name},inf,2,{12 - size}",
    ]
    best = load_experiment(str(file))
    assert best.training.max_epochs == 7
    assert best.specialists["four"].batch_size == size
    assert best.specialists["four"].members == 2  # as in the experiment that was searched
    assert "# Observed: 2.500 px, one member of four after 7 epochs," in file.read_text()
