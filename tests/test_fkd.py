"""The front door, by the examples that its docstrings show."""

import doctest
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from whole_photos import photo_with_faces
from written_members import select, write_member

import fkd
from fkd.core.errors import UserError
from fkd.ensemble.ensemble import Ensemble
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run, open_run


@pytest.fixture
def _a_run_and_a_photo(workplace: Path, experiment: Experiment) -> None:
    run = Run(workplace / "models_store/quick-synthetic")
    open_run(run, experiment, {"data_checksum": "0"})
    for member in experiment.members:
        write_member(run, experiment, *member)
    select(run, four=[0, 1], eleven=[0])
    cv2.imwrite("photo.jpg", photo_with_faces((200, 300), [(60, 40, 120)], [0]))


@pytest.mark.usefixtures("_a_run_and_a_photo")
def test_the_examples_of_the_front_door_run(capsys: pytest.CaptureFixture[str]):
    results = doctest.testmod(fkd)
    assert (results.attempted, results.failed) == (10, 0), capsys.readouterr().out


@pytest.mark.usefixtures("workplace")
def test_a_run_that_is_not_there_is_named():
    with pytest.raises(UserError, match="nought: no such run in models_store; available runs: none"):
        fkd.load("nought")


def test_the_class_is_at_the_door_and_nothing_else():
    assert fkd.Ensemble is Ensemble
    with pytest.raises(AttributeError, match="has no attribute 'Ensembl'"):
        _ = fkd.Ensembl


def test_importing_fkd_loads_no_framework():
    script = "import sys, fkd; print([name for name in ('keras', 'numpy', 'pandas') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
