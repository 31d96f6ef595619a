"""A search by Ray Tune on this machine, from the command line."""

import re
from pathlib import Path

import pandas as pd
import pytest
from command_line import fkd

from fkd.experiment.files import load_experiment

pytest.importorskip("ray", reason="the extra ray is not installed")

SPACE = "training.optimizer.learning_rate: {choice: [1.0e-2, 1.0e-3, 1.0e+30]}\n"


def test_a_search_is_resumed_and_its_best_is_an_experiment(
    faces_folder: Path, workplace: Path, tiny_experiment: Path
):
    (workplace / "rates.yaml").write_text(SPACE)
    arguments = ["tune", "tiny.yaml", "--space", "rates.yaml", "--data", faces_folder, "--trials", 20]
    arguments += ["--specialist", "four", "--set", "resources.cpus=1", "--first-epochs", 3]
    said = fkd(*arguments)
    assert len(re.findall(r"^\d of 3: tiny-", said, re.MULTILINE)) == 3
    assert "failed after 0 epochs: training.optimizer.learning_rate=1.0e+30 (four/00: the training" in said
    table = pd.read_csv(workplace / "models_store" / "tune" / "tiny-rates-faces.csv")
    assert table["best_rmse_px"].is_monotonic_increasing
    best = load_experiment(str(workplace / "experiments" / "tiny-rates.yaml"))
    assert best.training.optimizer.learning_rate == table["training.optimizer.learning_rate"][0]

    finished = {done: done.stat().st_mtime_ns for done in (workplace / "models_store").rglob("done.json")}
    assert len(finished) == 2
    fkd(*arguments)
    assert {done: done.stat().st_mtime_ns for done in finished} == finished
    pd.testing.assert_frame_equal(pd.read_csv(workplace / "models_store/tune/tiny-rates-faces.csv"), table)
