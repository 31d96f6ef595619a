"""The chosen members in memory: which they are, and that they predict as they do for a submission."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from written_members import select, write_member

from fkd.core.errors import UserError
from fkd.core.files import sha256
from fkd.core.keypoints import KAGGLE15
from fkd.ensemble.ensemble import find_run, load_ensemble
from fkd.ensemble.predict import predict_ensemble
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.records import DoneRecord, write_record
from fkd.experiment.store import Run, open_run, runs_in

FACES = np.random.default_rng(0).integers(0, 256, (11, 96, 96), np.uint8)  # more than go at once


@pytest.fixture
def run(tmp_path: Path, experiment: Experiment) -> Run:
    """A run with two members for four points and one for eleven; nothing is selected."""
    run = Run(tmp_path / "store" / "tiny-faces")
    open_run(run, experiment, {"data_checksum": "0"})
    for member in experiment.members:
        write_member(run, experiment, *member)
    return run


def load(run: Run) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], list[str]]:
    """Means and spreads on FACES, and what was said."""
    said: list[str] = []
    return *load_ensemble(run, said.append).predict(FACES), said


def test_the_mean_is_that_of_a_submission(run: Run) -> None:
    select(run, four=[1, 0, 1], eleven=[0])
    means, spreads, said = load(run)
    expected = predict_ensemble(run, run.read_experiment(), {"four": [1, 0, 1], "eleven": [0]}, FACES)
    np.testing.assert_allclose(means, expected, atol=1e-3)
    assert spreads.shape == (11, 15)
    assert said == [
        f"{run.path}: predicting with its members: 2 four + 1 eleven",
        f"{run.path}: no radii of these members; fkd select measures how far off their points may be",
    ]


def test_the_spread_is_the_deviation_of_the_chosen(run: Run) -> None:
    select(run, four=[0, 1, 1], eleven=[0])
    _, spreads, _ = load(run)
    first, second = (
        predict_ensemble(run, run.read_experiment(), {"four": [index]}, FACES)[:, KAGGLE15.indices("four")]
        for index in (0, 1)
    )
    # Of a, b, b the variance is 2/9 of (a - b) squared.
    expected = np.sqrt(2 / 9 * ((first - second) ** 2).sum(axis=-1))
    np.testing.assert_allclose(spreads[:, KAGGLE15.indices("four")], expected, atol=1e-3)
    assert expected.min() > 0.01
    assert np.all(spreads[:, KAGGLE15.indices("eleven")] == 0)  # one member


def test_specialists_of_the_same_points_are_one_ensemble(tmp_path: Path, tiny_experiment: Path) -> None:
    fold = "specialists.fold={keypoints: four, members: 1, validation_fold: 1}"
    experiment = load_experiment(str(tiny_experiment), [fold])
    run = Run(tmp_path / "store" / "folds-faces")
    open_run(run, experiment, {"data_checksum": "0"})
    for name in ("four", "fold"):
        write_member(run, experiment, name, 0)
    means, spreads, said = load(run)
    points = KAGGLE15.indices("four")
    first, second = (
        predict_ensemble(run, experiment, {name: [0]}, FACES)[:, points] for name in ("four", "fold")
    )
    np.testing.assert_allclose(means[:, points], (first + second) / 2, atol=1e-3)
    expected = np.sqrt(((first - second) ** 2).sum(axis=-1) / 4)
    np.testing.assert_allclose(spreads[:, points], expected, atol=1e-3)
    assert said[-2].endswith("1 four + 1 fold")


def test_no_faces_give_no_points(run: Run) -> None:
    means, spreads = load_ensemble(run, lambda line: None).predict(FACES[:0])
    assert means.shape == (0, 15, 2)
    assert spreads.shape == (0, 15)


def test_without_a_selection_all_finished_members_predict(run: Run) -> None:
    means, _, said = load(run)
    expected = predict_ensemble(run, run.read_experiment(), {"four": [0, 1], "eleven": [0]}, FACES)
    np.testing.assert_allclose(means, expected, atol=1e-3)
    assert sum("no selection for" in line for line in said) == 2


def test_points_of_a_specialist_without_members_are_left_out(run: Run) -> None:
    run.member("eleven", 0).done.unlink()
    means, spreads, said = load(run)
    assert np.isnan(means[:, KAGGLE15.indices("eleven")]).all()
    assert np.isnan(spreads[:, KAGGLE15.indices("eleven")]).all()
    assert np.isfinite(means[:, KAGGLE15.indices("four")]).all()
    assert f"{run.path}: the specialist eleven has no finished member; its points are left out" in said


def test_a_run_without_finished_members_is_one_line(run: Run) -> None:
    for member in run.read_experiment().members:
        run.member(*member).done.unlink()
    with pytest.raises(UserError, match="expected a finished member, received none; continue with fkd train"):
        load(run)


@pytest.mark.parametrize("damage", ["absent", "cut"])
def test_a_chosen_member_that_is_damaged_is_named(run: Run, damage: str) -> None:
    select(run, four=[1], eleven=[0])
    weights = run.member("four", 1).best_weights
    content = weights.read_bytes()
    weights.unlink()
    if damage == "cut":
        weights.write_bytes(content[:100])
    with pytest.raises(UserError, match="four/01: expected a finished member with whole files"):
        load(run)


@pytest.mark.parametrize("content", ["", "[1]", '[{"specialist": "four"}]', '{"four": 1}'])
def test_a_damaged_selection_is_one_line(run: Run, content: str) -> None:
    run.selection.write_text(content)
    with pytest.raises(UserError, match=r"selection\.json: expected what fkd select writes"):
        load(run)


def write_run(store: Path, name: str, selected_at_s: int | None) -> Run:
    """A run of which there is nothing but an experiment and, at that time, a selection."""
    run = Run(store / name)
    run.path.mkdir(parents=True)
    run.experiment.write_text("")
    if selected_at_s is not None:
        run.selection.write_text(json.dumps([]))
        os.utime(run.selection, (selected_at_s, selected_at_s))
    return run


def test_the_last_selected_run_is_the_usual_one(tmp_path: Path) -> None:
    former, latter, unselected = (
        write_run(tmp_path, name, at) for name, at in [("b", 1000), ("a", 2000), ("c", None)]
    )
    assert find_run(tmp_path, None) == latter
    assert find_run(tmp_path, "b") == former
    assert find_run(tmp_path, "c") == unselected
    assert runs_in(tmp_path) == [latter, former, unselected]


def test_a_run_in_a_folder_of_the_store(tmp_path: Path) -> None:
    inner = write_run(tmp_path / "comparison", "a", None)
    assert find_run(tmp_path, "comparison/a") == inner


def test_an_unknown_run_names_those_at_hand(tmp_path: Path) -> None:
    write_run(tmp_path, "ensemble-faces", None)
    with pytest.raises(UserError, match=r"--run other: no such run in .*; available runs: ensemble-faces"):
        find_run(tmp_path, "other")
    with pytest.raises(UserError, match="no run here has selected members; make one with"):
        find_run(tmp_path, None)


def test_weights_of_another_network_are_one_line(run: Run) -> None:
    folder = run.member("four", 0)
    shutil.copy(run.member("eleven", 0).best_weights, folder.best_weights)
    write_record(folder.done, DoneRecord(files={folder.best_weights.name: sha256(folder.best_weights)}))
    with pytest.raises(UserError, match=r"^[^\n]*four/00/best.weights.h5: expected weights of [^\n]*$"):
        load(run)
