"""What a verb works on, by the names of an experiment, a data set and a store; and room for a fresh run."""

from pathlib import Path

import pytest
from repository import REPOSITORY

from fkd.experiment.store import Run
from fkd.runs.request import Request, make_room


def test_a_store_is_a_folder_or_a_url_with_the_usual_folder():
    here, there = Request(store="elsewhere/store"), Request(store="s3://bucket/prefix")
    assert (here.store_url, here.store_folder) == (None, Path("elsewhere/store"))
    assert (there.store_url, there.store_folder) == ("s3://bucket/prefix", Path("models_store"))


def test_the_usual_experiment_is_quick_on_drawn_faces_and_the_ensemble_on_others(
    faces_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(REPOSITORY)
    for data, usual in (("synthetic", "quick"), ("kaggle", "ensemble"), (str(faces_folder), "ensemble")):
        assert Request(data=data).experiment_name == usual
    assert Request("champion", "synthetic").experiment_name == "champion"


def test_a_run_is_named_by_experiment_and_data(tiny_experiment: Path, faces_folder: Path):
    settings = ("seed=9", "name=other")
    experiment, run = Request(str(tiny_experiment), str(faces_folder), settings, "store").resolve()
    assert (experiment.seed, run.path) == (9, Path("store/other-faces"))


def test_make_is_told_what_differs_from_the_usual():
    assert Request().make_words == ""
    assert Request("champion", "kaggle").make_words == " EXPERIMENT=champion DATA=kaggle"
    assert Request(store="s3://bucket/runs").make_words == " STORE=s3://bucket/runs"


def test_a_former_run_makes_room_and_can_come_back(tmp_path: Path):
    run, said = Run(tmp_path / "tiny-faces"), list[str]()
    make_room(Request(), run, said.append)
    assert said == [], "there is none"
    run.path.mkdir()
    make_room(Request(), run, said.append)
    (aside,) = tmp_path.iterdir()
    assert said == [f"{run.path}: the former run, moved aside to {aside}; rename it back to return to it"]
