"""The tables of a comparison, as Markdown and as a CSV beside its file."""

from __future__ import annotations

import io
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fkd.core.errors import UserError, one_line
from fkd.core.files import atomic_write_bytes, is_there, read_regular
from fkd.core.say import Say
from fkd.data.csv_cells import LARGEST_TABLE_BYTES
from fkd.report.comparison import MADE_BY
from fkd.report.markdown import replace_part
from fkd.report.tables import markdown_table

if TYPE_CHECKING:
    import pandas as pd

_IN_THE_CSV_ALONE = ["checksum", "command", *MADE_BY]
# A page shows at most this many columns; of more, these are left out one by one.
_COLUMNS_AT_MOST = 7
_LEAST_TELLING = ("networks", "epochs", "images seen by each", "images/s", "parameters", "minutes a member")
_REMARKS = ("published", "remark")

_Former = dict[tuple[Hashable, ...], dict[Hashable, Any]]


def write_tables(file: Path, tables: Mapping[str, pd.DataFrame], say: Say) -> None:
    """Write the tables of `file`, by title as `compare_table` gives them.

    A row that is not run keeps the figures that the CSV has of the same settings and data: its run may lie on
    another machine. One without a checksum, whose data are not at hand, keeps its line as it is. The
    Markdown, NAME.md beside NAME.yaml, shows the columns that matter most, the CSV all.
    Raises UserError where the Markdown has no marks for them and where the CSV is not as it was written.
    """
    import pandas as pd  # slow to load

    page, results = file.with_suffix(".md"), file.with_suffix(".csv")
    former = _read_lines(results)
    filled = {title: _with_former(table, former, title, say) for title, table in tables.items()}
    command = f"    fkd compare --train --file {file}"
    part = "".join(
        f"\n### {title}\n\n{command}\n\n{markdown_table(_shown(table))}" for title, table in filled.items()
    )
    text = replace_part(page, f"fkd compare --file {file.name}", f"{part}\n")
    together = pd.concat(filled, names=["table", None]).reset_index("table").convert_dtypes()
    atomic_write_bytes(results, together.to_csv(index=False, lineterminator="\n").encode())
    atomic_write_bytes(page, text.encode())
    say(f"{part}\n{page}, {results}: written")


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of a page: without remarks where there are none, and without what matters least."""
    empty = [name for name in _REMARKS if name in table and not table[name].any()]
    table = table.drop(columns=[*_IN_THE_CSV_ALONE, *empty], errors="ignore")
    for name in _LEAST_TELLING:
        if len(table.columns) > _COLUMNS_AT_MOST:
            table = table.drop(columns=name, errors="ignore")
    return table


def _read_lines(results: Path) -> _Former:
    """The CSV's lines by table, system and checksum, and without the last; none where it is not there yet."""
    import pandas as pd  # slow to load

    if not is_there(results):
        return {}
    try:
        content = io.BytesIO(read_regular(results, LARGEST_TABLE_BYTES))
        frame = pd.read_csv(content, dtype={"epochs": str, "checksum": str})
        keys = frame[["table", "system", "checksum"]].itertuples(index=False, name=None)
        lines: _Former = dict(zip(keys, frame.to_dict("records"), strict=True))
        return {(table, system, None): line for (table, system, _), line in lines.items()} | lines
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{results}: expected the CSV that compare writes, received another ({one_line(error)}); "
            "restore it, or remove it with its figures"
        ) from error


def _with_former(
    table: pd.DataFrame,
    former: _Former,
    title: str,
    say: Say,
) -> pd.DataFrame:
    import pandas as pd  # slow to load

    lines, kept = [], []
    for line in table.to_dict("records"):
        known = {name: value for name, value in line.items() if pd.notna(value)}
        before = former.get((title, line["system"], known.get("checksum")), {})
        if "networks" not in known:
            known = before | known
            if pd.notna(before.get("networks")):
                kept.append(line["system"])
        lines.append(known)
    if kept:
        say(f"{title}: former figures kept, as these runs are not finished here: {', '.join(kept)}")
    return pd.DataFrame(lines, columns=table.columns)
