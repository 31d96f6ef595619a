"""Data flows one way: packages import only from those below, and each docstring is its package's map.

The tests mirror the package: a module's are in the file of its name.
"""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from repository import REPOSITORY

PACKAGE = REPOSITORY / "fkd"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = REPOSITORY / "tests"
# From the ground up. What stands on one floor does not import from its neighbours.
FLOORS = (
    ("core",),
    ("experiment", "data"),
    ("training",),
    ("runs",),
    ("ensemble",),
    ("deploy", "report"),
    ("pipeline",),
    ("arguments",),
    ("cli",),
    ("__main__",),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# Modules that do nothing by themselves, and why.
UNTESTED = {"training/progress.py": "a protocol", "arguments.py": "types of the command line's"}
# Test files of no single module, and what they test instead.
FURTHER_TESTS = {
    "test_chaos.py": "trainings that are killed at random moments",
    "test_damaged_runs.py": "damaged runs, file by file and verb by verb",
    "test_fkd.py": "the package's front door",
    "test_fuzz.py": "random damage to all that fkd reads",
    "test_notebook.py": "the notebook in docs/",
    "test_layers.py": "the package's order",
    "test_requirements.py": "the lock files",
    "report/test_pages_in_a_browser.py": "pages as a browser shows them",
    "runs/test_preemption.py": "machines that are taken away, through the command line",
    "training/networks/test_gradient_sweep.py": "gradients of TensorFlow's CPU kernels",
}
PACKAGES = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)


def _module(path: Path) -> str:
    """A file's module without `fkd.`, such as `data.cache`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def _imports(path: Path) -> set[str]:
    """Modules of the package that a file imports anywhere, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    modules = {_module(file) for file in FILES}
    return {name.removeprefix("fkd.") for name in names if name.startswith("fkd.")} & modules


def test_every_package_has_its_floor():
    assert {_module(path).partition(".")[0] for path in FILES} == {*FLOOR, "__init__"}


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent != PACKAGE or path.stem in FLOOR], ids=_module
)
def test_imports_go_down(path: Path):
    own = _module(path).partition(".")[0]
    for imported in _imports(path):
        other = imported.partition(".")[0]
        assert other == own or FLOOR[other] < FLOOR[own], f"{_module(path)} imports {imported}"


def test_keras_is_taken_lean():
    taken = re.compile("^ *(from|import) keras\\b", re.MULTILINE)
    assert {_module(path) for path in FILES if taken.search(path.read_text())} == {"core.lean_keras"}


def test_there_is_no_circle():
    # Raises CycleError, which names the circle.
    assert TopologicalSorter({_module(path): _imports(path) for path in FILES}).static_order()


@pytest.mark.parametrize("folder", ["fkd", "tests", "experiments"])
def test_nobody_imports_a_private_name(folder: str):
    for path in (REPOSITORY / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if re.match("_[^_]", name)], path


def test_the_imports_are_seen():
    assert "training.member_training" in _imports(PACKAGE / "runs/members.py")
    assert "pipeline" in _imports(PACKAGE / "cli.py")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_map_of_a_package_names_every_module_of_it(package: Path):
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    listed = re.findall(r"^([a-z_0-9]+/?) +\S", text.partition("\n\n")[2], re.MULTILINE)
    modules = [path.stem for path in package.glob("*.py") if path.stem != "__init__"]
    folders = [f"{path.parent.name}/" for path in package.glob("*/__init__.py")]
    assert sorted(listed) == sorted([*modules, *folders])


@pytest.mark.parametrize("path", FILES, ids=_module)
def test_no_file_and_no_function_is_long(path: Path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def test_the_tests_mirror_the_package():
    modules = {path.relative_to(PACKAGE).as_posix() for path in FILES if not path.stem.startswith("__")}
    assert modules >= UNTESTED.keys()
    places = {Path(module) for module in modules - UNTESTED.keys()}
    expected = {place.with_name(f"test_{place.name}").as_posix() for place in places}
    files = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    of_scripts = {file for file in files if file.startswith("experiments/")}  # they mirror that folder
    assert sorted(expected - files) == []
    assert sorted(files - expected - of_scripts) == sorted(FURTHER_TESTS)
