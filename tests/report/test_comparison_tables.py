"""Figures outlive the store that they were measured in."""

from pathlib import Path

import pandas as pd
import pytest

from fkd.core.errors import UserError
from fkd.data.csv_cells import LARGEST_TABLE_BYTES
from fkd.report.comparison_tables import write_tables

MARKS = [f"<!-- {end}: written by fkd compare --file c.yaml -->\n" for end in ("begin", "end")]
COLUMNS = ["system", "networks", "epochs", "px", "published", "checksum"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A comparison file beside a page with marks."""
    (tmp_path / "c.md").write_text("".join(MARKS))
    return tmp_path / "c.yaml"


def table(*lines: tuple[str, int | None, str, str]) -> pd.DataFrame:
    """Lines of system, networks, published figures and checksum; what is measured follows the networks."""
    rows = [(s, n, n and str(n), n and n / 3, published, checksum) for s, n, published, checksum in lines]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_a_row_that_is_not_run_keeps_the_figures_of_the_same_settings(file: Path):
    said: list[str] = []
    write_tables(file, {"t": table(("a", 6, "", "1"), ("b", 7, "", "2"))}, said.append)
    write_tables(file, {"t": table(("a", None, "x", "1"), ("b", None, "", "3"))}, said.append)
    assert said[1] == "t: former figures kept, as these runs are not finished here: a"
    written = (file.parent / "c.md").read_text()
    for text in (said[2], written):
        assert "| a | 6 | 6 | 2 | x |\n| b | not run | not run | not run |  |\n" in text
    lines = pd.read_csv(file.parent / "c.csv", dtype={"checksum": str})
    assert lines["networks"].isna().tolist() == [False, True]
    assert lines["checksum"].tolist() == ["1", "3"]


def test_rows_without_a_checksum_keep_their_lines(file: Path):
    write_tables(file, {"t": table(("a", 6, "", "1"), ("b", None, "", "2"))}, print)
    before = (file.parent / "c.csv").read_bytes()
    said: list[str] = []
    lines = table(("a", None, "", "?"), ("b", None, "", "?"), ("c", None, "", "?")).assign(checksum=None)
    write_tables(file, {"t": lines[:2]}, said.append)
    assert said[0] == "t: former figures kept, as these runs are not finished here: a"
    assert (file.parent / "c.csv").read_bytes() == before
    write_tables(file, {"t": lines}, said.append)
    assert "| c | not run | not run | not run |\n" in said[3]


@pytest.mark.parametrize("text", ["", "system\na\n", 'table,system\n1,2,3,4\n"', "\0"])
def test_a_damaged_csv_is_one_clear_line(file: Path, text: str):
    (file.parent / "c.csv").write_text(text)
    with pytest.raises(UserError, match=r"c\.csv: expected the CSV that compare writes, [^\n]*$"):
        write_tables(file, {"t": table(("a", 6, "", "1"))}, print)


def test_a_csv_of_any_size_is_one_clear_line(file: Path):
    with (file.parent / "c.csv").open("wb") as csv:
        csv.truncate(LARGEST_TABLE_BYTES + 1)
    with pytest.raises(
        UserError, match=r"c\.csv: expected .*, received another \(more than 67,108,864 bytes"
    ):
        write_tables(file, {"t": table(("a", 6, "", "1"))}, print)


def test_a_new_run_takes_the_place_of_former_figures(file: Path):
    said: list[str] = []
    for networks in (6, 9):
        write_tables(file, {"t": table(("a", networks, "", "1"))}, said.append)
    assert "| a | 9 | 9 | 3 |" in said[1]


def test_tables_are_kept_apart(file: Path):
    said: list[str] = []
    write_tables(file, {"t": table(("a", 6, "", "1")), "u": table(("a", 9, "", "1"))}, said.append)
    before = (file.parent / "c.csv").read_bytes()
    empty = table(("a", None, "", "1"))
    write_tables(file, {"t": empty, "u": empty}, said.append)
    assert (file.parent / "c.csv").read_bytes() == before


def test_a_page_without_marks_loses_nothing(file: Path):
    write_tables(file, {"t": table(("a", 6, "", "1"))}, print)
    before = (file.parent / "c.csv").read_bytes()
    (file.parent / "c.md").write_text("no marks\n")
    with pytest.raises(UserError, match="expected the lines"):
        write_tables(file, {"t": table(("a", 9, "", "1"))}, print)
    assert (file.parent / "c.csv").read_bytes() == before


def test_a_page_shows_seven_columns_at_most_and_the_csv_all(file: Path):
    columns = [
        "system",
        "networks",
        "parameters",
        "images/s",
        "epochs",
        "px",
        "of a member",
        "minutes",
        "remark",
    ]
    row = ("a", 3, 100, 20, "8", 1.5, 1.75, 2.5, "kept", "1")
    write_tables(file, {"t": pd.DataFrame([row], columns=[*columns, "checksum"])}, print)
    text = file.with_suffix(".md").read_text()
    assert "| system | parameters | images/s | px | of a member | minutes | remark |\n" in text
    assert f"### t\n\n    fkd compare --train --file {file}\n" in text
    assert pd.read_csv(file.with_suffix(".csv")).columns.tolist() == ["table", *columns, "checksum"]
