"""Which members make the prediction, what their average is worth, and the average itself.

Everything here works on arrays in pixels: `predictions` of shape (members, rows, points, 2) and `truth` of
shape (rows, points, 2), NaN where a point has no label. Members are named by their position along the first
axis, except in the settings and in the report, where they carry their own numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.metrics import rmse_px
from fkd.ensemble.folds import Fold, fifths, halves
from fkd.ensemble.stacking import Stack, averaged, stacked
from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Selection

Array = npt.NDArray[np.floating]
Groups = npt.NDArray[np.int64]
Choose = Callable[[Array, Array, Groups], Sequence[int]]
Combine = Callable[[Array], Array]  # predictions of all members -> one prediction
Fit = Callable[[Array, Array, Groups], Combine]  # from predictions, truth and groups

# The leaderboard's last digit is 1e-5 px; without a least gain the forward selection could go on forever.
_LEAST_GAIN_PX = 1e-5


@dataclass(frozen=True)
class Estimate:
    """An RMSE in pixels on the validation rows.

    in_sample_px: chosen and scored on the same rows.
    cross_validated_px: chosen on one half of the groups, scored on the other; a stack is fitted on four
    fifths. None with fewer than two groups.
    """

    in_sample_px: float
    cross_validated_px: float | None


@dataclass(frozen=True)
class MemberScore:
    """One member's number, its validation RMSE in pixels and how often it was chosen (0: left out)."""

    index: int
    rmse_px: float
    weight: int


@dataclass(frozen=True)
class SelectionReport:
    """The choice for one specialist and what it is worth; `chosen` repeats a member that weighs double."""

    specialist: str
    policy: str
    members: tuple[MemberScore, ...]
    chosen: tuple[int, ...]
    best_single: Estimate
    average_of_all: Estimate
    average_of_chosen: Estimate

    @property
    def estimates(self) -> tuple[Estimate, Estimate, Estimate]:
        """Of the best single member, the average of all and that of the chosen ones."""
        return self.best_single, self.average_of_all, self.average_of_chosen


def pooled(estimates: Sequence[Estimate], labels: Sequence[int]) -> Estimate:
    """The RMSE over all labels of several specialists, each of which has so many."""

    def root_mean_square(rmse_px: Sequence[float]) -> float:
        return float(np.sqrt(np.average(np.square(rmse_px), weights=labels)))

    crossed_px = [estimate.cross_validated_px for estimate in estimates]
    known_px = [px for px in crossed_px if px is not None]
    return Estimate(
        root_mean_square([estimate.in_sample_px for estimate in estimates]),
        root_mean_square(known_px) if len(known_px) == len(estimates) else None,
    )


def average_predictions(predictions: Array, positions: Sequence[int]) -> npt.NDArray[np.float64]:
    """The mean of the members at `positions`, shape (rows, points, 2); a repeated position weighs double.

    Those of a `Stack` have its weights.
    """
    return averaged(predictions[list(positions)], positions)


def join_specialists(experiment: Experiment, predictions: Mapping[str, Array]) -> npt.NDArray[np.float64]:
    """What each specialist predicts, shape (rows, its points, 2), as all points of the schema.

    Specialists of the same points, which differ in their folds, are averaged. NaN where nobody predicts.
    """
    rows, names = len(next(iter(predictions.values()))), experiment.schema_points.names
    totals, specialists = np.zeros((rows, len(names), 2)), np.zeros((len(names), 1))
    for specialist, pixels in predictions.items():
        totals[:, experiment.point_indices(specialist)] += pixels
        specialists[experiment.point_indices(specialist)] += 1
    with np.errstate(invalid="ignore"):  # 0 / 0
        return totals / specialists


def select_members(
    predictions: Array,
    truth: Array,
    selection: Selection,
    specialist: str,
    member_indices: Sequence[int],
    groups: Groups | None = None,
) -> Sequence[int]:
    """Positions of the members that the policy chooses, in the order of choice.

    all: every member. best: the one with the lowest RMSE. top: the best few. within: those whose RMSE is at
    most some percent above the best. greedy: forward selection with replacement (Caruana et al. 2004),
    until no addition improves. stack: every member, with weights by point (`stacked`). indices:
    `selection.indices[specialist]`, typed by hand. Ties go to the lowest position. All policies but the last
    leave out members without finite predictions.

    member_indices: the members' own numbers, shape (members,). groups: shape (rows,), which a stack needs.
    Raises UserError if a typed number does not exist, none is typed, or no member is usable.
    """
    if selection.policy == "indices":
        return _typed_positions(selection, specialist, member_indices)
    scores_px = np.array([rmse_px(member, truth) for member in predictions])
    usable = [int(i) for i in np.flatnonzero(np.isfinite(scores_px))]
    if not usable:
        raise UserError(
            f"{specialist}: expected at least one member with finite validation predictions, received none "
            f"among {len(predictions)}; train its members first"
        )
    best_first = sorted(usable, key=lambda i: scores_px[i])
    match selection.policy:
        case "all":
            return usable
        case "best":
            return best_first[:1]
        case "top":
            return best_first[: selection.top]
        case "within":
            limit_px = scores_px[best_first[0]] * (1 + selection.within_percent / 100)
            return [i for i in best_first if scores_px[i] <= limit_px]
        case "greedy":
            return _forward_selection(predictions, truth)
        case "stack":
            assert groups is not None
            return stacked(predictions, truth, groups, usable)


def cross_validated_average(
    predictions: Array, truth: Array, groups: Groups, choose: Choose, folds: Sequence[Fold]
) -> npt.NDArray[np.float64] | None:
    """The average of the chosen members on rows that did not take part in the choice, as `truth` in shape.

    groups: shape (rows,). choose: (predictions, truth, groups) -> positions. None without folds.
    """

    def fit(some: Array, labels: Array, their_groups: Groups) -> Combine:
        positions = choose(some, labels, their_groups)
        return lambda others: average_predictions(others, positions)

    return fitted_across(predictions, truth, groups, fit, folds)


def fitted_across(
    predictions: Array, truth: Array, groups: Groups, fit: Fit, folds: Sequence[Fold]
) -> npt.NDArray[np.float64] | None:
    """What a way of combining members, fitted on the other rows, makes of the rows of every fold.

    groups: shape (rows,). Returns an array shaped as `truth`; None without folds.
    """
    if not folds:
        return None
    combined = np.empty(truth.shape)
    for others, rows in folds:
        combine = fit(predictions[:, others], truth[others], groups[others])
        combined[rows] = combine(predictions[:, rows])
    return combined


def cross_validated_rmse_px(
    predictions: Array, truth: Array, groups: Groups, choose: Choose, folds: Sequence[Fold]
) -> float | None:
    """RMSE of the `cross_validated_average`; the errors of all folds are pooled."""
    averages = cross_validated_average(predictions, truth, groups, choose, folds)
    return None if averages is None else rmse_px(averages, truth)


def selection_report(
    predictions: Array,
    truth: Array,
    groups: Groups,
    selection: Selection,
    specialist: str,
    member_indices: Sequence[int],
) -> SelectionReport:
    """Choose a specialist's members by the policy and estimate the choice beside its two alternatives.

    groups: shape (rows,). member_indices: the members' own numbers, shape (members,).
    Raises UserError as `select_members` does.
    """

    def chooser(policy: str) -> Choose:
        settings = selection.model_copy(update={"policy": policy})
        return lambda some, labels, of: select_members(some, labels, settings, specialist, member_indices, of)

    def estimate(policy: str) -> Estimate:
        choose, folds = chooser(policy), fifths(groups) if policy == "stack" else halves(groups)
        in_sample_px = rmse_px(average_predictions(predictions, choose(predictions, truth, groups)), truth)
        return Estimate(in_sample_px, cross_validated_rmse_px(predictions, truth, groups, choose, folds))

    chosen = chooser(selection.policy)(predictions, truth, groups)
    numbers = tuple(member_indices[i] for i in chosen)
    return SelectionReport(
        specialist=specialist,
        policy=selection.policy,
        members=tuple(
            MemberScore(index, rmse_px(predictions[i], truth), chosen.count(i))
            for i, index in enumerate(member_indices)
        ),
        chosen=Stack(numbers, chosen.weights) if isinstance(chosen, Stack) else numbers,
        best_single=estimate("best"),
        average_of_all=estimate("all"),
        average_of_chosen=estimate(selection.policy),
    )


def _typed_positions(selection: Selection, specialist: str, member_indices: Sequence[int]) -> list[int]:
    typed = selection.indices.get(specialist, ())
    unknown = [index for index in typed if index not in member_indices]
    if unknown or not typed:
        raise UserError(
            f"selection.indices.{specialist}: expected numbers of finished members "
            f"({', '.join(map(str, member_indices)) or 'none yet'}), received "
            f"{', '.join(map(str, unknown)) or 'none'}; correct the list or choose another policy"
        )
    return [list(member_indices).index(index) for index in typed]


def _forward_selection(predictions: Array, truth: Array) -> list[int]:
    chosen: list[int] = []
    total = np.zeros(truth.shape)
    reached_px = np.inf
    while True:
        scores_px = [rmse_px((total + member) / (len(chosen) + 1), truth) for member in predictions]
        addition = int(np.argmin(scores_px))
        if not scores_px[addition] < reached_px - _LEAST_GAIN_PX:
            return chosen
        chosen.append(addition)
        total += predictions[addition]
        reached_px = scores_px[addition]
