"""What a verb works on, by the names of an experiment and a data set."""

from pathlib import Path

from fkd.experiment.store import Run
from fkd.runs.request import Request


def test_a_run_lies_in_its_store_by_experiment_and_data(tiny_experiment: Path, tmp_path: Path):
    (tmp_path / "faces").mkdir()
    request = Request(str(tiny_experiment), str(tmp_path / "faces"), ("seed=7",), str(tmp_path))
    experiment, run = request.resolve()
    assert experiment.seed == 7
    assert run == Run(tmp_path / "tiny-faces")


def test_the_usual_experiment_depends_on_the_data():
    assert Request(data="synthetic").experiment_name == "quick"
    assert Request(data="kaggle").experiment_name == "ensemble"


def test_a_remote_store_has_its_working_copy_in_the_usual_folder():
    assert Request(store="s3://bucket/runs").store_url == "s3://bucket/runs"
    assert Request(store="s3://bucket/runs").store_folder == Path("models_store")
    assert Request(store="there").store_url is None
    assert Request(store="there").store_folder == Path("there")
