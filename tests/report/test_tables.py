import pandas as pd
import pytest
from rich.console import Console, RenderableType

from fkd.ensemble.selection import Estimate, MemberScore, SelectionReport
from fkd.report.tables import estimates_table, markdown_table, score_table, selection_table, status_table
from fkd.runs.status import MemberStatus

REPORT = SelectionReport(
    specialist="four",
    policy="greedy",
    members=(MemberScore(0, 2.5, 0), MemberScore(1, 1.5, 2)),
    chosen=(1, 1),
    best_single=Estimate(1.5, 1.6),
    average_of_all=Estimate(1.75, 1.75),
    average_of_chosen=Estimate(1.25, None),
)


def _lines(table: RenderableType) -> list[str]:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    return capture.get().splitlines()


def _cells(table: RenderableType) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in _lines(table) if line.startswith("│")
    ]


def test_members_are_listed_best_first_with_their_weight():
    assert _cells(selection_table(REPORT)) == [["01", "1.500", "yes x2"], ["00", "2.500", "-"]]


def test_estimates_stand_beside_the_in_sample_figures():
    assert _cells(estimates_table([REPORT])) == [
        ["four", "1.600 (1.500)", "1.750 (1.750)", "too few groups (1.250)"]
    ]


def test_scores():
    score = pd.DataFrame({"part": ["all"], "name": ["all"], "values": [8], "rmse_px": [1.25]})
    assert _cells(score_table(score)) == [["all", "all", "8", "1.2500"]]


@pytest.mark.parametrize(
    ("age_s", "text"), [(5, "5 s ago"), (120, "2 min ago"), (7200, "2 h ago"), (172800, "2 d ago")]
)
def test_status(age_s: float, text: str):
    members = [
        MemberStatus("four/00", "done", 7, 1.5, 4, 120.0, 1.2, age_s),
        MemberStatus("four/01", "waiting"),
    ]
    table = status_table("tiny-faces", members)
    assert "tiny-faces: 1 of 2 members done" in _lines(table)[0]
    assert "2.0 min of training; saving took 1.00% of it" in _lines(table)[-1]
    assert _cells(table) == [
        ["four/00", "done", "7", "1.500", "4", text],
        ["four/01", "waiting", "", "", "", ""],
    ]


def test_markdown():
    table = pd.DataFrame(
        {
            "system": ["a", "b"],
            "parameters": [11372062.0, None],
            "epochs": ["5 + 14", None],
            "RMSE": [2.5557, None],
            "loss": [0.0012345, None],
        }
    )
    assert markdown_table(table).splitlines() == [
        "| system | parameters | epochs | RMSE | loss |",
        "| --- | ---: | --- | ---: | ---: |",
        "| a | 11,372,062 | 5 + 14 | 2.556 | 0.00123 |",
        "| b | not run | not run | not run | not run |",
    ]
