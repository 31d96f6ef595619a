"""The selector by numbers that can be checked by hand; errors of a member are given in pixels."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fkd.core.errors import UserError
from fkd.core.keypoints import KAGGLE15
from fkd.core.metrics import rmse_px
from fkd.ensemble.folds import halves
from fkd.ensemble.selection import (
    Combine,
    Estimate,
    MemberScore,
    average_predictions,
    cross_validated_rmse_px,
    fitted_across,
    join_specialists,
    pooled,
    select_members,
    selection_report,
)
from fkd.ensemble.stacking import Stack
from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Selection

Array = npt.NDArray[np.float64]

errors = st.floats(-20, 20)


def truth(rows: int) -> Array:
    """One point at (10, 20) in every row."""
    return np.tile([10.0, 20.0], (rows, 1, 1))


def members(*errors_px: float | list[float], rows: int = 2) -> Array:
    """Members of one point whose x and y are off by their error, the same or another in every row."""
    off = np.array([np.broadcast_to(error, rows) for error in errors_px], float)
    return truth(rows) + off[:, :, None, None]


# Off by 3, -1 and 2 pixels: these are the members' RMSE, too.
THREE = members(3, -1, 2)


def choose(**settings: object) -> list[int]:
    selection = Selection.model_validate(settings)
    return select_members(THREE, truth(2), selection, "four", [0, 1, 4])


def test_rmse_counts_x_and_y_each_and_leaves_out_what_has_no_label() -> None:
    labels = np.array([[[0.0, 0.0], [np.nan, np.nan]]])
    assert rmse_px(np.array([[[3.0, 4.0], [50.0, 50.0]]]), labels) == sqrt((9 + 16) / 2)


def test_rmse_of_a_missing_prediction_is_infinite_and_without_labels_not_a_number() -> None:
    assert rmse_px(np.full((1, 1, 2), np.nan), np.zeros((1, 1, 2))) == np.inf
    assert np.isnan(rmse_px(np.zeros((1, 1, 2)), np.full((1, 1, 2), np.nan)))


def test_average_weighs_repeated_members_double() -> None:
    assert average_predictions(THREE, [0, 1]).tolist() == [[[11, 21]], [[11, 21]]]
    assert average_predictions(THREE, [1, 2, 1]).tolist() == truth(2).tolist()


@given(arrays(np.float32, (3, 2, 2), elements=st.floats(0, 95, width=32)), st.integers(1, 5))
def test_average_of_identical_members_is_the_member(member: npt.NDArray[np.float32], count: int) -> None:
    average = average_predictions(np.stack([member] * count), range(count))
    np.testing.assert_allclose(average, member, rtol=1e-12)


def test_specialists_are_joined_and_those_of_the_same_points_averaged() -> None:
    settings = {
        "first": {"keypoints": ["nose_tip"], "members": 1},
        "second": {"keypoints": ["nose_tip"], "members": 1, "validation_fold": 1},
        "eyes": {"keypoints": ["left_eye_center", "right_eye_center"], "members": 1},
    }
    network = {"convolutions": [{"filters": 1, "kernel": 3}]}
    experiment = Experiment(name="folds", network=network, specialists=settings)
    predictions = {
        "first": np.array([[[10.0, 20.0]]]),
        "second": np.array([[[20.0, 50.0]]]),
        "eyes": np.array([[[1.0, 2.0], [3.0, 4.0]]]),
    }
    joined = join_specialists(experiment, predictions)
    known = {
        name: joined[0, i].tolist() for i, name in enumerate(KAGGLE15.names) if np.isfinite(joined[0, i, 0])
    }
    assert known == {"left_eye_center": [1, 2], "right_eye_center": [3, 4], "nose_tip": [15, 35]}


def test_estimates_are_pooled_over_all_labels() -> None:
    # 7 * 7, and three times 1: 52 / 4 = 13. 3 * 3 and three times 5 * 5: 84 / 4 = 21.
    both = pooled([Estimate(7.0, 3.0), Estimate(1.0, 5.0)], [1, 3])
    assert (both.in_sample_px, both.cross_validated_px) == pytest.approx((13**0.5, 21**0.5))
    assert pooled([Estimate(7.0, 3.0), Estimate(1.0, None)], [1, 3]).cross_validated_px is None


def test_policies_that_rank() -> None:
    assert choose(policy="all") == [0, 1, 2]
    assert choose(policy="best") == [1]
    assert choose(policy="top", top=2) == [1, 2]
    assert choose(policy="top", top=9) == [1, 2, 0]
    assert choose(policy="within", within_percent=99) == [1]
    assert choose(policy="within", within_percent=100) == [1, 2]


def test_greedy_adds_with_replacement_until_nothing_improves() -> None:
    # -1 alone is off by 1; with 2 by 0.5; with -1 once more by 0.
    assert choose(policy="greedy") == [1, 2, 1]


def test_ties_go_to_the_lowest_position() -> None:
    same = members(2, 1, 1)
    for policy in ("best", "greedy"):
        selection = Selection.model_validate({"policy": policy})
        assert select_members(same, truth(2), selection, "four", [0, 1, 2]) == [1]


def test_typed_numbers_are_the_members_own() -> None:
    assert choose(policy="indices", indices={"four": [4, 0]}) == [2, 0]


@pytest.mark.parametrize(
    ("indices", "received"),
    [({"four": [4, 2, 3]}, "2, 3"), ({"four": []}, "none"), ({"eleven": [0]}, "none")],
)
def test_unknown_typed_numbers_are_refused(indices: dict[str, list[int]], received: str) -> None:
    with pytest.raises(UserError, match=rf"selection.indices.four: .*\(0, 1, 4\), received {received};"):
        choose(policy="indices", indices=indices)


def test_diverged_members_are_left_out_by_every_ranking_policy() -> None:
    predictions = members(np.nan, 2, 1)
    for policy, expected in {"all": [1, 2], "best": [2], "top": [2, 1], "within": [2], "greedy": [2]}.items():
        selection = Selection.model_validate({"policy": policy})
        assert select_members(predictions, truth(2), selection, "four", [0, 1, 2]) == expected


def test_no_usable_member_is_refused() -> None:
    with pytest.raises(UserError, match="received none among 1"):
        select_members(members(np.nan), truth(2), Selection(), "four", [0])


@given(arrays(np.float64, (4, 5), elements=errors))
def test_greedy_is_never_worse_in_sample_than_the_best_member(errors_px: Array) -> None:
    predictions = members(*errors_px, rows=5)
    chosen = select_members(predictions, truth(5), Selection(policy="greedy"), "four", range(4))
    best_px = min(rmse_px(member, truth(5)) for member in predictions)
    assert rmse_px(average_predictions(predictions, chosen), truth(5)) <= best_px


def test_cross_validated_rmse_scores_on_the_other_half() -> None:
    # Row 0 chooses member 0, which is off by 4 in row 1; row 1 chooses member 1, off by 2 in row 0.
    predictions = members([1, 4], [2, 3])

    def best(some: Array, labels: Array, groups: npt.NDArray[np.int64]) -> Sequence[int]:
        return select_members(some, labels, Selection(policy="best"), "four", [0, 1])

    groups = np.array([8, 9])
    assert cross_validated_rmse_px(predictions, truth(2), groups, best, halves(groups)) == sqrt((16 + 4) / 2)
    assert cross_validated_rmse_px(predictions, truth(2), groups, best, []) is None


def test_a_stack_is_estimated_on_fifths_of_the_groups() -> None:
    rng = np.random.default_rng(0)
    predictions = truth(50) + rng.normal(0, 1, (2, 50, 1, 2)) * np.array([1.0, 3.0])[:, None, None, None]
    report = selection_report(
        predictions, truth(50), np.arange(50), Selection(policy="stack"), "four", [3, 5]
    )
    assert isinstance(report.chosen, Stack)
    assert report.chosen == (3, 5)
    assert report.chosen.weights[0, 0] == pytest.approx(0.9, abs=0.1)  # weights by inverse variance
    assert report.average_of_chosen.cross_validated_px is not None
    assert report.average_of_all.cross_validated_px is not None
    assert report.average_of_chosen.cross_validated_px < report.average_of_all.cross_validated_px


def test_report_shows_every_member_and_three_estimates() -> None:
    predictions = members([1, 4], [2, 3], [-9, -9])
    selection = Selection(policy="indices", indices={"four": (7, 3, 7)})
    report = selection_report(predictions, truth(2), np.array([8, 9]), selection, "four", [3, 5, 7])
    assert (report.specialist, report.policy, report.chosen) == ("four", "indices", (7, 3, 7))
    assert report.members == (
        MemberScore(3, sqrt(8.5), 1),
        MemberScore(5, sqrt(6.5), 0),
        MemberScore(7, 9.0, 2),
    )
    assert report.best_single == Estimate(sqrt(6.5), sqrt(10))
    # The averages are off by -2 and -2/3 with all members, by -17/3 and -14/3 with the typed ones.
    for estimate, expected_px in (
        (report.average_of_all, sqrt((4 + 4 / 9) / 2)),
        (report.average_of_chosen, sqrt((17**2 + 14**2) / 9 / 2)),
    ):
        assert estimate.in_sample_px == pytest.approx(expected_px)
        assert estimate.cross_validated_px == pytest.approx(expected_px)


def test_report_of_one_group_has_no_cross_validated_estimate() -> None:
    report = selection_report(
        THREE, truth(2), np.array([8, 8]), Selection(policy="greedy"), "four", [0, 1, 4]
    )
    assert report.chosen == (1, 4, 1)
    assert report.average_of_chosen == Estimate(0.0, None)


def test_each_half_of_the_groups_is_combined_by_what_the_other_taught() -> None:
    groups = np.arange(90) // 2
    truth_px = np.random.default_rng(0).uniform(20, 80, (90, 2, 2))
    off_px = np.where(groups % 2, 3.0, 1.0)[:, None, None]  # wrong by 1 px in one half, by 3 px in the other

    def learn_the_shift(predictions: Array, truth: Array, groups: npt.NDArray[np.int64]) -> Combine:
        shift = (predictions.mean(axis=0) - truth).mean()
        return lambda others: others.mean(axis=0) - shift

    combined_px = fitted_across(truth_px[None] + off_px, truth_px, groups, learn_the_shift, halves(groups))
    np.testing.assert_allclose((combined_px - truth_px)[groups % 2 == 0], -2)
    np.testing.assert_allclose((combined_px - truth_px)[groups % 2 == 1], 2)
