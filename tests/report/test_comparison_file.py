from pathlib import Path

import pytest

from fkd.core.errors import UserError
from fkd.experiment.files import load_experiment
from fkd.report.comparison_file import Comparison, Row, Table, load_comparison

pytestmark = pytest.mark.usefixtures("in_the_repository")


@pytest.mark.parametrize("name", ["comparison", "published-budgets", "ablation", "pixel-changes"])
def test_the_comparisons_of_the_repository_name_experiments_that_load(name: str):
    comparison = load_comparison(Path(f"experiments/comparisons/{name}.yaml"))
    for table in comparison.tables:
        schemas = {
            load_experiment(row.experiment, (*comparison.budget, *row.settings)).keypoint_schema
            for row in table.rows
        }
        assert len(schemas) == 1, table.title


def test_a_wrong_comparison_is_one_clear_line(tmp_path: Path):
    file = tmp_path / "comparison.yaml"
    file.write_text("tables: [{title: t, data: d, rows: [{system: s, experiment: e, detector: haar}]}]")
    with pytest.raises(UserError, match=r"tables\.0\.rows\.0\.detector: there is no such setting"):
        load_comparison(file)
    with pytest.raises(UserError, match=r"nought\.yaml: expected a YAML file, found none"):
        load_comparison(tmp_path / "nought.yaml")
    file.write_text("tables: [{title: t, data: d, rows: [{system: s, experiment: e}]}]")
    with pytest.raises(UserError, match=r"received f; it has e$"):
        load_comparison(file, ["e", "f"])
    assert load_comparison(file, ["e"]).budget == ()


def test_the_budget_comes_before_a_rows_own_settings():
    row = Row(system="s", experiment="quick", settings=["seed=2"])
    table = Table(title="t", data="d", rows=[row])
    comparison = Comparison(budget=["seed=1", "training.max_epochs=4"], tables=[table])
    [request] = comparison.to_train(None)
    experiment = load_experiment(request.experiment_name, request.settings)
    assert (experiment.seed, experiment.training.max_epochs) == (2, 4)
    assert request.store_folder == Path("models_store/comparison")
    assert comparison.requests(Path("mine"))[table][row].store_folder == Path("mine")


def test_a_run_of_several_rows_is_trained_once():
    rows = [Row(system=name, experiment=name[:5]) for name in ("quick", "quick again", "other")]
    comparison = Comparison(tables=[Table(title=title, data="d", rows=rows) for title in "tu"])
    assert [request.experiment for request in comparison.to_train(None)] == ["quick", "other"]
    assert [request.experiment for request in comparison.to_train(None, ["other"])] == ["other"]


def test_a_row_is_about_the_specialists_that_it_names():
    ensemble = load_experiment("ensemble")
    assert list(Row(system="s", experiment="ensemble").part_of(ensemble).specialists) == ["four", "eleven"]
    row = Row(system="s", experiment="ensemble", specialists=["eleven"])
    assert list(row.part_of(ensemble).specialists) == ["eleven"]
    wrong = Row(system="s", experiment="ensemble", specialists=["five"])
    with pytest.raises(
        UserError, match=r"^s: expected specialists of ensemble \(four, eleven\), received five$"
    ):
        wrong.part_of(ensemble)
