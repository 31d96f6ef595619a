"""Data flows one way: every file imports only from floors below its own, as the map in fkd/README.md says."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fkd"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
MODULES = [file for file in FILES if not file.endswith("__init__.py")]


def _floors() -> dict[str, int]:
    """File -> floor, from the lines `| floor | `file` | ...` of the map."""
    lines = re.findall(r"^\| (\d+) \| `([\w/]+\.py)` \|", (PACKAGE / "README.md").read_text(), re.MULTILINE)
    return {file: int(floor) for floor, file in lines}


def _imports(file: str) -> set[str]:
    """Files of the package that a file imports anywhere, inside functions too."""
    imported = set()
    for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        paths = (
            f"{name.removeprefix('fkd.').replace('.', '/')}.py" for name in names if name.startswith("fkd.")
        )
        imported |= {path for path in paths if (PACKAGE / path).is_file()}
    return imported


def test_the_map_shows_every_file_and_no_other():
    assert sorted(_floors()) == MODULES


@pytest.mark.parametrize("file", MODULES)
def test_imports_go_down(file: str):
    floors = _floors()
    upward = [f"{other} ({floors[other]})" for other in _imports(file) if floors[other] >= floors[file]]
    assert not upward, f"{file} stands on floor {floors[file]} and imports {', '.join(upward)}"


def test_the_imports_are_seen():
    assert "members.py" in _imports("worker.py")
    assert "pipeline.py" in _imports("cli.py")


@pytest.mark.parametrize("file", FILES)
def test_no_file_is_long(file: str):
    assert len((PACKAGE / file).read_text().splitlines()) <= 400
