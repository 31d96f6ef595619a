import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fuzz
import pytest
from fuzzing.calls import CALLS, FINISHED, WORK, copy
from fuzzing.promises import Case, judge, results_of, snapshot
from fuzzing.watched import Outcome
from hypothesis import example, given
from hypothesis import strategies as st

from fkd.core.errors import UserError
from fkd.data.csv_cells import Cell, coordinate
from fkd.ensemble.selection_file import read_selection
from fkd.experiment.files import apply_override
from fkd.experiment.settings import read_settings
from fkd.experiment.store import Run

CASES, SEED = 60, 19
SELECT = next(call for call in CALLS if call.words[:2] == ("select", "tiny.yaml"))
CASE = Case(SELECT, SELECT.words, "removed", (f"{FINISHED}/selection.json",))
OUTLIERS = f"{FINISHED}/far_labels.csv"
TRACE = 'Traceback (most recent call last):\n  File "/x/fkd/cli.py", line 7, in f\nKeyError: 1\n'
REFUSED = Outcome(1, "", "fkd: tiny-faces: expected a choice; select again\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def reports(folder: Path) -> list[fuzz.Report]:
    return fuzz.fuzz(folder, SEED, range(CASES), at_once=2, tell=lambda report: None)


def test_sixty_damages_break_no_promise(reports: list[fuzz.Report]):
    broken = [fuzz.describe(report, SEED) for report in reports if report.verdict.findings]
    assert not broken, "\n".join([*broken, fuzz.summary(reports)])
    # Else nothing was damaged, or nothing was noticed.
    assert {"refused", "unchanged"} <= {report.verdict.ending for report in reports}


@pytest.mark.usefixtures("reports")
def test_a_case_is_a_function_of_seed_and_number(folder: Path, tmp_path: Path):
    for number in range(20):
        once, again = (tmp_path / f"{number}{name}" for name in ("once", "again"))
        cases = [
            fuzz.draw(random.Random(f"3/{number}"), copy(folder / "prepared", base)) for base in (once, again)
        ]
        # The name of a data cache is made of its folder's path.
        victims = [[name.partition("/faces-")[0] for name in case.victims] for case in cases]
        assert victims[0] == victims[1]
        assert replace(cases[0], victims=()) == replace(cases[1], victims=())
        names = [
            {f"{name} {what}" for name, what in snapshot(base).items() if "cache/" not in name}
            for base in (once, again)
        ]
        assert names[0] == names[1]


def _nothing(work: Path) -> None: ...


@pytest.mark.parametrize(
    ("do", "outcome", "finding"),
    [
        (_nothing, REFUSED, None),
        (_nothing, Outcome(1, "", TRACE), "traceback: KeyError: 1 at fkd/cli.py:7"),
        (_nothing, Outcome(-11, "", ""), "exit status -11"),
        (_nothing, Outcome(1, "", "killed\n"), "not one line: killed"),
        (_nothing, Outcome(None, "", "", "memory: 3 GiB"), "memory: 3 GiB"),
        (lambda work: (work / "../evil").touch(), REFUSED, "outside: written: outer/inner/evil"),
        (lambda work: (work / "tiny.yaml").unlink(), REFUSED, "outside: removed"),
        (lambda work: (work / "tiny.yaml").write_text("a: 1"), REFUSED, "outside: changed"),
        (lambda work: (work / OUTLIERS).unlink(), REFUSED, f"lost: {WORK}/{OUTLIERS}"),
        (lambda work: (work / OUTLIERS).write_text("a,b\n1"), REFUSED, "not whole"),
        (_nothing, Outcome(0, "fine\n", ""), f"silent: other results: {FINISHED}/selection.json"),
        (_nothing, Outcome(0, "selection.json: expected another\n", ""), None),
    ],
)
def test_a_promise_that_is_broken_is_found(
    tmp_path: Path, do: Callable[[Path], object], outcome: Outcome, finding: str | None
):
    work = tmp_path / WORK
    (work / FINISHED).mkdir(parents=True)
    (work / "tiny.yaml").write_text("seed: 3\n")
    for name in ("selection.json", "far_labels.csv"):
        (work / FINISHED / name).write_text("1\n")
    undamaged = Outcome(0, "fine\n", ""), results_of(SELECT, tmp_path, outcome)
    (work / FINISHED / "selection.json").unlink()
    before = snapshot(tmp_path)
    do(work)
    findings = judge(CASE, tmp_path, outcome, before, undamaged).findings
    assert len(findings) == bool(finding)
    assert all(finding in found for found in findings)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
SCRAPS = st.lists(
    st.sampled_from(
        ["a", "1", ": ", "- ", "\n", " ", "[", "]", "{", "}", "&a ", "*a", "!", "'", "2026-13-45"]
    )
)


def _taken_or_refused_in_one_line(read: Callable[..., Any], *arguments: object) -> Any:
    """What was read; None where it was refused."""
    complaint, received = "", None
    try:
        received = read(*arguments)
    except UserError as error:
        complaint = str(error)
    assert "\n" not in complaint
    return received


@given(st.text() | SCRAPS.map("".join))
@example("a=" + "[" * 5_000)
@example("a=2026-13-45")
def test_any_override_is_taken_or_refused_in_one_line(override: str):
    _taken_or_refused_in_one_line(apply_override, {"training": {"max_epochs": 3}, "name": "x"}, override)


@given(text=SCRAPS.map("".join))
def test_any_yaml_is_taken_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, text: str):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text)
    assert isinstance(_taken_or_refused_in_one_line(read_settings, path), dict | None)


@given(st.text() | st.floats().map(str))
def test_any_cell_is_a_finite_coordinate_or_none_or_refused(text: str):
    received = _taken_or_refused_in_one_line(coordinate, Cell(Path("training.csv"), 2, "nose_tip_x", text))
    assert received is None or math.isnan(received) or math.isfinite(received)


@given(value=VALUES)
def test_any_json_is_no_selection_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, value: Any
):
    run = Run(tmp_path_factory.getbasetemp())
    run.selection.write_text(json.dumps(value))
    assert not _taken_or_refused_in_one_line(read_selection, run)
