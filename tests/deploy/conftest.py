"""The run and the experiment whose members the tests of the export make."""

from pathlib import Path

import pytest
from exported_models import new_run

from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run


@pytest.fixture
def experiment(tiny_experiment: Path) -> Experiment:
    return load_experiment(str(tiny_experiment))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return new_run(tmp_path)
