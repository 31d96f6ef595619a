"""The run whose members the tests of the export make."""

from pathlib import Path

import pytest
from exported_models import new_run

from fkd.experiment.store import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return new_run(tmp_path)
