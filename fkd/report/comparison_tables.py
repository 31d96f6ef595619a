"""The tables of a comparison, in README.md and as a CSV beside its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fkd.core.files import atomic_write_bytes
from fkd.report.markdown import replace_part
from fkd.report.tables import markdown_table

if TYPE_CHECKING:
    import pandas as pd


def write_tables(file: Path, tables: Mapping[str, pd.DataFrame], say: Callable[[str], None]) -> None:
    """Write the tables of `file`, by title as `compare_table` gives them.

    A row that is not run keeps the figures that the CSV has of the same settings and data: its run may lie on
    another machine. Raises UserError where README.md has no marks for them.
    """
    import pandas as pd  # slow to load

    readme, results = file.with_name("README.md"), file.with_name("results") / f"{file.stem}.csv"
    former = _read_lines(results)
    filled = {title: _with_former(table, former, title, say) for title, table in tables.items()}
    part = "".join(
        f"\n### {title}\n\n{markdown_table(table.drop(columns='checksum'))}"
        for title, table in filled.items()
    )
    text = replace_part(readme, f"fkd compare --file {file.name}", f"{part}\n")
    together = pd.concat(filled, names=["table", None]).reset_index("table").convert_dtypes()
    results.parent.mkdir(exist_ok=True)
    atomic_write_bytes(results, together.to_csv(index=False, lineterminator="\n").encode())
    atomic_write_bytes(readme, text.encode())
    say(f"{part}\n{readme}, {results}: written")


def _read_lines(results: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The CSV's lines by table, system and checksum; none where it is not there yet."""
    import pandas as pd  # slow to load

    if not results.is_file():
        return {}
    lines = pd.read_csv(results, dtype={"epochs": str, "checksum": str})
    return {(line["table"], line["system"], line["checksum"]): line for line in lines.to_dict("records")}


def _with_former(
    table: pd.DataFrame,
    former: Mapping[tuple[str, str, str], dict[str, Any]],
    title: str,
    say: Callable[[str], None],
) -> pd.DataFrame:
    import pandas as pd  # slow to load

    lines, kept = [], []
    for line in table.to_dict("records"):
        known = {name: value for name, value in line.items() if pd.notna(value)}
        before = former.get((title, line["system"], line["checksum"]), {})
        if "networks" not in known and pd.notna(before.get("networks")):
            known = before | known
            kept.append(line["system"])
        lines.append(known)
    if kept:
        say(f"{title}: former figures kept, as these runs are not finished here: {', '.join(kept)}")
    return pd.DataFrame(lines, columns=table.columns)
