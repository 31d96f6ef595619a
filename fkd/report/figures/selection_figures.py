"""How the members of a run compare and which were chosen, as figures."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import seaborn
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator

from fkd.ensemble.selection import Estimate, MemberScore
from fkd.report.measures import continued_greedily, ensemble_rmse_px, error_correlations, error_products
from fkd.report.page import Figure, Section
from fkd.report.run_record import RunRecord, SpecialistRecord
from fkd.report.style import COLUMN_IN, WIDE_IN

# At most this many members are numbered, or have their correlations written into the squares.
_NUMBERED, _WRITTEN = 60, 8
_LINE_IN = 0.2


def selection_section(record: RunRecord) -> Section:
    """Members by validation error, ensembles of every size and correlations, where there are any."""
    remarks = "; ".join(record.remarks)
    if not record.selected:
        return Section("Selection", f"There is nothing to choose from yet: {remarks}." if remarks else "")
    several = [specialist for specialist in record.selected if len(specialist.usable) > 1]
    figures = [
        Figure(
            "members-by-error",
            "Validation RMSE by member",
            "Members from the best to the worst; filled marks are chosen, x2 and the like weigh more.",
            partial(_draw_by_specialist, record.selected, _draw_members, WIDE_IN),
            partial(_draw_member_lists, record.selected),
        )
    ]
    if several:
        figures += [
            Figure(
                "ensemble-size",
                "RMSE against ensemble size",
                "The average of the first 1, 2, ... members, from the best to the worst and, where it is "
                "another one, in the selector's order with the others after the chosen; the cross-validated "
                "estimate is scored on faces that took no part in the choice.",
                partial(_draw_by_specialist, several, _draw_sizes, COLUMN_IN),
            ),
            Figure(
                "error-correlations",
                "Correlation of the members' errors",
                "Pearson's correlation over all validation coordinates, members from the best to the worst; "
                "the lower it is, the more an average gains.",
                partial(_draw_correlations, several),
            ),
        ]
    text = f"Averaged: {', '.join(map(_choice, record.selected))}."
    if not several:
        text += " With one finished member there is no ensemble to show."
    if remarks:
        text += f" Missing: {remarks}."
    return Section("Selection", text, figures, _facts(record.selected))


def _facts(specialists: Sequence[SpecialistRecord]) -> list[tuple[str, str]]:
    """What the best single, all and the chosen members are worth."""
    facts = []
    for specialist in specialists:
        report = specialist.selection
        assert report is not None
        lines = (
            f"best single {_estimate(report.best_single)}",
            f"all {len(report.members)} averaged {_estimate(report.average_of_all)}",
            f"chosen ({report.policy}) {_estimate(report.average_of_chosen)}",
            f"members {', '.join(f'{index:02d}' for index in report.chosen)}",
        )
        facts.append((f"{specialist.name}, validation RMSE", "\n".join(lines)))
    return facts


def _choice(specialist: SpecialistRecord) -> str:
    distinct = len(set(specialist.chosen))
    return f"{distinct} of {len(specialist.members)} members of {specialist.name}"


def _estimate(estimate: Estimate) -> str:
    in_sample, worth_px = (
        f"{estimate.in_sample_px:.3f} px on the faces that chose",
        estimate.cross_validated_px,
    )
    return in_sample if worth_px is None else f"{worth_px:.3f} px cross-validated, {in_sample}"


def _draw_by_specialist(
    specialists: Sequence[SpecialistRecord], draw: Callable[[Axes, SpecialistRecord], None], width_in: float
) -> Drawing:
    figure = Drawing(figsize=(width_in, 0.4 + 2.5 * len(specialists)))
    panels = figure.subplots(len(specialists), 1, squeeze=False)
    for axes, specialist in zip(panels.flat, specialists, strict=True):
        axes.set_title(specialist.name)
        axes.grid(visible=True)
        draw(axes, specialist)
    return figure


def _draw_member_lists(specialists: Sequence[SpecialistRecord]) -> Drawing:
    """For a phone: a line a member, the best at the top."""
    scores = [_best_scores(specialist) for specialist in specialists]
    heights_in = [0.75 + _LINE_IN * len(some) for some in scores]
    figure = Drawing(figsize=(COLUMN_IN, sum(heights_in)))
    panels = figure.subplots(len(scores), 1, squeeze=False, height_ratios=heights_in)
    for axes, specialist, some in zip(panels.flat, specialists, scores, strict=True):
        _mark_members(axes, some, downwards=True)
        times = [
            f"{score.index:02d} x{score.weight}" if score.weight > 1 else f"{score.index:02d}"
            for score in some
        ]
        axes.set_yticks(range(len(some)), times, fontsize=8)
        axes.set_ylim(len(some) - 0.5, -0.5)
        axes.tick_params(labeltop=True)  # the foot of a long list is out of sight
        axes.set(title=specialist.name, xlabel="RMSE px")
        axes.margins(x=0.1)
        axes.grid(visible=True)
        _place_legend(axes, gap=2.2)  # the scale's numbers are between
    return figure


def _best_scores(specialist: SpecialistRecord) -> list[MemberScore]:
    assert specialist.selection is not None
    scores = [score for score in specialist.selection.members if np.isfinite(score.rmse_px)]
    return sorted(scores, key=lambda score: score.rmse_px)


def _mark_members(axes: Axes, scores: Sequence[MemberScore], downwards: bool = False) -> None:
    """A filled mark for every chosen member, an empty one for the others, in their order."""
    looks: dict[bool, dict[str, Any]] = {
        True: {"color": "C1", "label": "chosen"},
        False: {"color": "C0", "fillstyle": "none", "label": "left out"},
    }
    for is_chosen, look in looks.items():
        places = [place for place, score in enumerate(scores) if (score.weight > 0) == is_chosen]
        errors_px = [scores[place].rmse_px for place in places]
        if places:
            axes.plot(*((errors_px, places) if downwards else (places, errors_px)), "o", **look)


def _draw_members(axes: Axes, specialist: SpecialistRecord) -> None:
    scores = _best_scores(specialist)
    places = np.arange(len(scores))
    _mark_members(axes, scores)
    for place, score in enumerate(scores):
        if score.weight > 1:
            words = f"x{score.weight}"
            axes.annotate(words, (place, score.rmse_px), (0, 6), textcoords="offset points", ha="center")
    numbers = [f"{score.index:02d}" for score in scores]
    if len(scores) <= _NUMBERED:
        axes.set_xticks(places, numbers, rotation=90 if len(scores) > 30 else 0, fontsize=7)
        axes.set_xlabel("member")
    else:
        axes.set_xlabel("members, the best first")
    axes.set_ylabel("RMSE px")
    axes.margins(y=0.2)
    _place_legend(axes)


def _place_legend(axes: Axes, gap: float = 0.0) -> None:
    """Outside, where its marks are not taken for members; gap: from the axes, in heights of its font."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=gap, handletextpad=0.2)


def _draw_sizes(axes: Axes, specialist: SpecialistRecord) -> None:
    report = specialist.selection
    assert report is not None
    products = error_products(specialist.predictions_px, specialist.truth_px)
    best_first = _best_first(products)
    axes.plot(*_curve(products, best_first), "C0", marker=".", markersize=4, label="best first")
    chosen = best_first[: len(report.chosen)]
    if report.policy in ("greedy", "indices"):  # the others choose the best first
        chosen = specialist.chosen
        order = continued_greedily(products, chosen)
        axes.plot(*_curve(products, order), "C1", marker=".", markersize=4, label="selector's order")
    axes.plot(len(chosen), _curve(products, chosen)[1][-1], "o", color="C3", markersize=6, label="chosen")
    all_px, worth_px = report.average_of_all.in_sample_px, report.average_of_chosen.cross_validated_px
    axes.axhline(all_px, color="C2", linestyle="--", label=f"all: {all_px:.3f}")
    if worth_px is not None:
        axes.axhline(worth_px, color="C4", linestyle=":", label=f"chosen, cross-validated: {worth_px:.3f}")
    axes.set(xlabel="networks averaged", ylabel="validation RMSE px")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.legend(loc="upper right", fontsize=8)


def _curve(products: npt.NDArray[np.float64], order: Sequence[int]) -> tuple[range, npt.NDArray[np.float64]]:
    return range(1, len(order) + 1), ensemble_rmse_px(products, order)


def _best_first(products: npt.NDArray[np.float64]) -> list[int]:
    return np.argsort(products.diagonal(), kind="stable").tolist()


def _draw_correlations(specialists: Sequence[SpecialistRecord]) -> Drawing:
    figure = Drawing(figsize=(COLUMN_IN, 3.8 * len(specialists)))
    panels = figure.subplots(len(specialists), 1, squeeze=False)
    for axes, specialist in zip(panels.flat, specialists, strict=True):
        products = error_products(specialist.predictions_px, specialist.truth_px)
        best_first = _best_first(products)
        correlations = error_correlations(specialist.predictions_px[best_first], specialist.truth_px)
        every = max(1, len(best_first) // 20)
        names = [f"{specialist.usable[i]:02d}" for i in best_first]
        seaborn.heatmap(
            correlations,
            ax=axes,
            cmap=rcParams["image.cmap"],
            vmax=1,
            square=False,
            annot=len(best_first) <= _WRITTEN,
            fmt=".2f",
            xticklabels=every,
            yticklabels=every,
        )
        labels = names[::every]
        axes.set_xticklabels(labels, rotation=90)
        axes.set_yticklabels(labels, rotation=0)
        axes.set_title(specialist.name)
    return figure
