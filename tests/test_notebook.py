"""The notebook in docs/, cell by cell, on a small embedded set and a training of seconds."""

import ast
import json
import shutil
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from command_line import fkd
from repository import REPOSITORY
from tiny_experiment import TINY_EXPERIMENT

from fkd.report.page import Figure

NOTEBOOK = json.loads((REPOSITORY / "docs/first-look.ipynb").read_text())
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


@pytest.fixture
def _quick_on_synthetic(workplace: Path, faces_folder: Path) -> None:
    """What `make train-ensemble submit DATA=synthetic` leaves, smaller."""
    shutil.copytree(faces_folder, workplace / "data/synthetic")
    (workplace / "experiments").mkdir()
    (workplace / "experiments/quick.yaml").write_text(TINY_EXPERIMENT)
    for verb in ("train", "submit"):
        fkd(verb, "quick", "--data", "synthetic")


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; what its last line gives, as a notebook shows it, None where that is a statement."""
    *before, last = ast.parse(source).body
    is_shown = isinstance(last, ast.Expr)
    exec(compile(ast.Module(before if is_shown else [*before, last], []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if is_shown else None


@pytest.mark.usefixtures("_quick_on_synthetic")
def test_every_cell_runs_and_shows_something():
    matplotlib.use("agg")
    names: dict[str, Any] = {}
    shown = [run_cell(source, names) for source in CODE]
    assert list(shown[0]) == ["four", "eleven"]
    assert "training-curves: RMSE of every member by epoch" in repr(shown[1])
    figures = [one for one in shown if isinstance(one, Figure)]
    assert [one.name for one in figures] == ["training-curves", "cumulative-errors", "worst-faces-four"]
    for figure in figures:
        assert figure._repr_html_().count("data:image/png;base64,") >= 2, "light and dark"
    assert names["drawn"].axes


def test_no_output_is_kept_in_the_repository():
    assert all(not cell.get("outputs") for cell in NOTEBOOK["cells"])
