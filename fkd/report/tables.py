"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from fkd.ensemble.selection import Estimate, SelectionReport
    from fkd.ensemble.validation import Validation
    from fkd.runs.status import MemberStatus


def selection_table(report: SelectionReport) -> Table:
    """Every member's validation RMSE, chosen or not, best first."""
    table = Table(title=f"{report.specialist}: {len(set(report.chosen))} of {len(report.members)} members")
    table.add_column("member", justify="right")
    table.add_column("validation RMSE px", justify="right")
    table.add_column(f"chosen ({report.policy})")
    for member in sorted(report.members, key=lambda member: member.rmse_px):
        times = f" x{member.weight}" if member.weight > 1 else ""
        table.add_row(f"{member.index:02d}", f"{member.rmse_px:.3f}", f"yes{times}" if member.weight else "-")
    return table


def estimates_table(
    reports: Sequence[SelectionReport], together: Mapping[str, Sequence[Estimate]] | None = None
) -> Table:
    """What the best single member, all and the chosen ones are worth; `together`: of several specialists."""
    table = Table(
        title="validation RMSE px (in brackets: members chosen on the very rows that score them)",
        caption="chosen on one half of the validation groups, scored on the other, both ways",
    )
    table.add_column("specialist")
    for column in ("best single", "all averaged", "chosen averaged"):
        table.add_column(column, justify="right")
    of_each = {one.specialist: one.estimates for one in reports}
    for name, estimates in (of_each | dict(together or {})).items():
        table.add_row(name, *map(_estimate, estimates))
    return table


def radii_table(validations: Iterable[Validation], coverage: float) -> Table:
    """How many labels of faces that took no part the radii hold, by specialist and source."""
    table = Table(
        title=f"radii that hold the truth in {coverage:.0%} of cases, by the members' spread",
        caption="on faces of groups that took no part; a constant is one radius a point",
    )
    for column in ("specialist", "labels of"):
        table.add_column(column)
    for column in ("labels", "held", "mean radius px", "constant px"):
        table.add_column(column, justify="right")
    for validation in validations:
        for faces, held in validation.held_by_source().items():
            table.add_row(
                validation.specialist,
                faces,
                f"{held.labels:,}",
                f"{held.share:.1%}",
                f"{held.radius_px:.2f}",
                f"{held.constant_px:.2f}",
            )
    return table


def score_table(score: pd.DataFrame) -> Table:
    """RMSE over all values, by Usage, by keypoint and by feature, as `submission.score` gives it."""
    table = Table(title="score")
    table.add_column("part")
    table.add_column("name")
    table.add_column("values", justify="right")
    table.add_column("RMSE px", justify="right")
    for part, rows in score.groupby("part", sort=False):
        for row in rows.itertuples():
            table.add_row(str(part), str(row.name), str(row.values), f"{row.rmse_px:.4f}")
        table.add_section()
    return table


def status_table(run_name: str, members: Sequence[MemberStatus]) -> Table:
    """One line a member: where its training stands."""
    done = [member for member in members if member.state == "done"]
    table = Table(title=f"{run_name}: {len(done)} of {len(members)} members done")
    if training_s := sum(member.training_s for member in done):
        saving = sum(member.saving_s for member in done) / training_s
        table.caption = f"done members: {training_s / 60:.1f} min of training; saving took {saving:.2%} of it"
    for column in ("member", "state", "epochs", "best RMSE px", "at epoch", "last saved"):
        table.add_column(column, justify="left" if column in ("member", "state") else "right")
    for member in members:
        if not member.epochs:
            table.add_row(member.name, member.state)
            continue
        best = (f"{member.best_rmse_px:.3f}", str(member.best_epoch))
        table.add_row(member.name, member.state, str(member.epochs), *best, _ago(member.saved_s_ago))
    return table


def markdown_table(table: pd.DataFrame) -> str:
    """A table in Markdown; `not run` in lines without any number, `-` for a number that others lack."""
    import pandas as pd  # slow to load

    rule = ["---:" if pd.api.types.is_numeric_dtype(table[column]) else "---" for column in table]
    known = table.select_dtypes("number").notna().any(axis=1)
    cells = (
        [_cell(value, "-" if is_run else "not run") for value in row]
        for row, is_run in zip(table.to_numpy(object), known, strict=True)
    )
    lines = [list(table.columns), rule, *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: object, missing: str) -> str:
    import pandas as pd  # slow to load

    if pd.isna(value):
        return missing
    if not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3f}" if value >= 0.1 else f"{value:.3g}"


def _estimate(estimate: Estimate) -> str:
    worth_px = estimate.cross_validated_px
    return f"{'too few groups' if worth_px is None else f'{worth_px:.3f}'} ({estimate.in_sample_px:.3f})"


def _ago(seconds: float) -> str:
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
