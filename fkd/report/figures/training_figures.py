"""How the members of a run were trained, as figures."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from fkd.experiment.store import HistoryColumn
from fkd.report.page import Figure, Section
from fkd.report.run_record import MemberRecord, RunRecord
from fkd.report.style import COLUMN_IN, WIDE_IN

_MARKS = "os^Dv"
_PANEL_IN = 0.85
_LEGEND_IN, _FOOT_IN, _LEFT_IN, _TITLE_IN = 0.35, 0.3, 0.4, 0.25
# Above this share of all errors lie first epochs and divergences; they need not be seen in full.
_SHOWN_QUANTILE = 0.995
# The scale extends by this factor, to make room for the words above the curves.
_WORDS = 1.6


def training_section(record: RunRecord) -> Section:
    """Every member's curves, best error against epochs, time and speed; of the members that have begun."""
    members = record.members
    states = Counter(member.state for member in members)
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    text = f"{len(members)} members in all: {counted}." if members else "No specialist has begun."
    begun = [member for member in members if len(member.history)]
    if not begun:
        return Section("Training", f"{text} There are no curves yet.")
    if len(begun) < len(members):
        text += f" {len(members) - len(begun)} have no finished epoch and are not shown."
    figures = (
        Figure(
            "training-curves",
            "RMSE of every member by epoch",
            "Training (augmented images) and validation RMSE, on one scale for all, each with its member's "
            "number and its best RMSE; the curves part where a member starts to memorise.",
            partial(_draw_curves, begun, WIDE_IN),
            partial(_draw_curves, begun, COLUMN_IN),
        ),
        Figure(
            "best-against-epochs",
            "Best RMSE against epochs trained",
            "Each mark is one member; where errors fall to the right, longer training still paid.",
            partial(_draw_best, begun),
        ),
        Figure(
            "training-time",
            "Time and speed by member",
            "Minutes of training, and images per second in the median epoch; a member that stands apart "
            "shared its machine or ran on another one.",
            partial(_draw_time, begun),
        ),
    )
    return Section("Training", text, figures)


def _by_specialist(members: Sequence[MemberRecord]) -> dict[str, list[MemberRecord]]:
    groups: dict[str, list[MemberRecord]] = {}
    for member in members:
        groups.setdefault(member.name.partition("/")[0], []).append(member)
    return groups


def _draw_curves(members: Sequence[MemberRecord], width_in: float) -> Drawing:
    groups = _by_specialist(members)
    narrow = width_in <= COLUMN_IN
    columns = 2 if narrow else min(8, max(3, math.ceil(math.sqrt(len(members)))))
    rows = [math.ceil(len(group) / columns) for group in groups.values()]
    panel_in = max(_PANEL_IN, 0.6 * width_in / columns)
    legend_in = (2 if narrow else 1) * _LEGEND_IN
    height_in = sum(rows) * panel_in + len(rows) * (_TITLE_IN + _FOOT_IN) + legend_in
    figure = Drawing(figsize=(width_in, height_in))
    figure.set_layout_engine("none")  # it would take longer than the drawing itself
    limits = _epoch_limit(members), _error_limits(members)
    top_in = height_in - legend_in
    for (specialist, group), group_rows in zip(groups.items(), rows, strict=True):
        top_in -= _TITLE_IN
        bottom_in = top_in - group_rows * panel_in
        grid = figure.add_gridspec(
            group_rows,
            columns,
            left=_LEFT_IN / width_in,
            right=0.99,
            wspace=0.06,
            hspace=0.08,
            bottom=bottom_in / height_in,
            top=top_in / height_in,
        )
        figure.text(0.01, (top_in + 0.06) / height_in, specialist, weight="bold", fontsize=9)
        for place, member in enumerate(group):
            axes = figure.add_subplot(grid[place // columns, place % columns])
            _set_scales(axes, *limits, left=place % columns == 0, foot=place + columns >= len(group))
            _draw_member(axes, member)
        top_in = bottom_in - _FOOT_IN
    _draw_legend(figure, any(member.stopped_early for member in members), columns=2 if narrow else 4)
    return figure


def _draw_member(axes: Axes, member: MemberRecord) -> None:
    epochs, best = member.history[HistoryColumn.EPOCH], member.best
    axes.plot(epochs, member.history[HistoryColumn.RMSE_PX], "C0", linewidth=0.8)
    axes.plot(epochs, member.history[HistoryColumn.VALIDATION_RMSE_PX], "C1", linewidth=0.8)
    axes.plot(
        best[HistoryColumn.EPOCH],
        best[HistoryColumn.VALIDATION_RMSE_PX],
        "o",
        color=rcParams["text.color"],
        markersize=3,
        clip_on=False,
    )
    if member.stopped_early:
        axes.axvline(epochs.iloc[-1], ymax=0.75, color="C2", linewidth=1)
    words = f"{member.index:02d}: {best[HistoryColumn.VALIDATION_RMSE_PX]:.2f}"
    if member.state != "done":
        words += f"\n{member.state}"
    axes.text(0.96, 0.95, words, transform=axes.transAxes, ha="right", va="top", fontsize=7)


def _set_scales(axes: Axes, epochs: int, errors_px: tuple[float, float], left: bool, foot: bool) -> None:
    axes.set(yscale="log", xlim=(0, epochs), ylim=errors_px)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(FixedLocator(_error_ticks(*errors_px)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(2, integer=True))
    axes.tick_params(labelsize=7, length=2, labelleft=left, labelbottom=foot)
    axes.grid(visible=True, axis="y")


def _error_ticks(lowest_px: float, highest_px: float) -> list[float]:
    """1, 2, 3, 5, 10, ... within the limits, below the words."""
    ticks = [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 3, 5)]
    return [tick for tick in ticks if lowest_px <= tick <= highest_px / _WORDS]


def _epoch_limit(members: Sequence[MemberRecord]) -> int:
    return 1 + max(int(member.history[HistoryColumn.EPOCH].iloc[-1]) for member in members)


def _error_limits(members: Sequence[MemberRecord]) -> tuple[float, float]:
    """From the lowest error up to nearly the highest, with room for the words above."""
    columns = [HistoryColumn.RMSE_PX, HistoryColumn.VALIDATION_RMSE_PX]
    errors_px = np.concatenate([member.history[columns].to_numpy().ravel() for member in members])
    errors_px = errors_px[np.isfinite(errors_px)]
    if not len(errors_px):
        return 1.0, 10.0
    return float(errors_px.min()) * 0.85, float(np.quantile(errors_px, _SHOWN_QUANTILE)) * _WORDS


def _draw_legend(figure: Drawing, any_stopped_early: bool, columns: int) -> None:
    marks = {
        "training RMSE px": Line2D([], [], color="C0"),
        "validation RMSE px": Line2D([], [], color="C1"),
        "best epoch": Line2D([], [], color=rcParams["text.color"], marker="o", ls="", ms=4),
    }
    if any_stopped_early:
        marks["early stop"] = Line2D([], [], color="C2", marker="|", ls="", ms=9, mew=1.5)
    words, look = list(marks), {"borderpad": 0, "columnspacing": 1, "handlelength": 1.2}
    figure.legend(list(marks.values()), words, loc="upper left", ncols=columns, **look)


def _draw_best(members: Sequence[MemberRecord]) -> Drawing:
    figure = Drawing(figsize=(COLUMN_IN, 3.2))
    axes = figure.subplots()
    for number, (specialist, group) in enumerate(_by_specialist(members).items()):
        epochs = [len(member.history) for member in group]
        best_px = [member.best[HistoryColumn.VALIDATION_RMSE_PX] for member in group]
        axes.plot(epochs, best_px, _MARKS[number % len(_MARKS)], markersize=5, alpha=0.8, label=specialist)
    axes.legend()
    axes.set(xlabel="epochs trained", ylabel="best validation RMSE px")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(visible=True)
    return figure


def _draw_time(members: Sequence[MemberRecord]) -> Drawing:
    figure = Drawing(figsize=(COLUMN_IN, 3.6))
    time, speed = figure.subplots(2, 1, sharex=True)
    for number, (specialist, group) in enumerate(_by_specialist(members).items()):
        indices = [member.index for member in group]
        minutes = [member.history[HistoryColumn.SECONDS].sum() / 60 for member in group]
        speeds = [
            (member.history[HistoryColumn.IMAGES] / member.history[HistoryColumn.TRAINING_SECONDS]).median()
            for member in group
        ]
        mark = _MARKS[number % len(_MARKS)]
        time.plot(indices, minutes, mark, markersize=4, clip_on=False, label=specialist)
        speed.plot(indices, speeds, mark, markersize=4, clip_on=False)
    time.set(ylabel="minutes", ylim=(0, None))
    speed.set(xlabel="member", ylabel="images/s", ylim=(0, None))
    speed.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    speed.xaxis.set_major_formatter(StrMethodFormatter("{x:02.0f}"))
    figure.legend(loc="outside upper left", ncols=3, borderpad=0)
    for axes in (time, speed):
        axes.grid(visible=True)
    return figure
