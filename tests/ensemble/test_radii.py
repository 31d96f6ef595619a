"""Radii of points whose distances are known, and of random ones whose coverage is counted."""

import numpy as np
import pytest

from fkd.ensemble.radii import LEAST_LABELS, Curve, cross_fit, fit_curves, radii_px


def _faces(distances: np.ndarray, spreads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of two members and the truth; both arrays have the shape (rows, points)."""
    truth = np.zeros((*distances.shape, 2))
    middle = np.stack([distances, np.zeros_like(distances)], axis=-1)
    apart = np.stack([np.zeros_like(spreads), spreads], axis=-1)
    return np.stack([middle + apart, middle - apart]), truth


def _all(*_: np.ndarray) -> list[int]:
    return [0, 1]


def test_between_knots_a_radius_is_on_a_straight_line_and_beyond_the_last_it_grows_in_proportion():
    curve = Curve((1.0, 3.0), (2.0, 4.0), 3.0)
    assert curve(np.array([0.0, 1.0, 2.0, 3.0, 6.0])).tolist() == [2, 2, 3, 4, 8]
    assert Curve((0.0,), (5.0,), 0.0)(np.array([0.0, 9.0])).tolist() == [5, 5]


def test_where_no_member_differs_the_radius_is_that_of_so_many_labels():
    # Of 39 distances 1, 2, ..., 39 px, 36 = 0.9 * 40 must be held.
    predictions, truth = _faces(np.arange(1.0, 40)[:, None], np.zeros((39, 1)))
    [curve] = fit_curves(predictions, [0, 1], truth, np.arange(39), coverage=0.9)
    assert curve is not None
    assert curve(np.zeros(1)).tolist() == [36]


def test_a_radius_grows_with_the_spread_that_tells_the_distance():
    spreads = np.repeat(np.arange(1.0, 17), 10)[:, None]  # as many values as knots between the ends
    predictions, truth = _faces(3 * spreads, spreads)
    [curve] = fit_curves(predictions, [0, 1], truth, np.arange(160), coverage=0.9)
    assert curve is not None
    assert curve(np.array([4.0, 8.0, 16.0])) == pytest.approx([12, 24, 48], rel=0.1)
    assert curve.large_spread_px == 16


def test_a_spread_that_tells_nothing_costs_nothing():
    rng = np.random.default_rng(0)
    distances, spreads = rng.uniform(1, 2, (200, 1)), rng.uniform(1, 2, (200, 1))
    predictions, truth = _faces(distances, spreads)
    [curve] = fit_curves(predictions, [0, 1], truth, np.arange(200), coverage=0.9)
    assert curve is not None
    assert curve(spreads).mean() <= np.sort(distances[:, 0])[180]  # the constant radius: 0.9 * 201 labels


def test_points_with_few_labels_have_no_radius():
    predictions, truth = _faces(np.ones((LEAST_LABELS, 2)), np.ones((LEAST_LABELS, 2)))
    truth[0, 0] = np.nan
    curves = fit_curves(predictions, [0, 1], truth, np.arange(LEAST_LABELS), coverage=0.9)
    assert [curve is None for curve in curves] == [True, False]
    assert np.isnan(radii_px(curves, np.ones((3, 2)))).tolist() == [[True, False]] * 3


def test_one_group_alone_gives_a_constant_and_nothing_to_measure_it_by():
    groups = np.zeros(40, int)
    predictions, truth = _faces(np.ones((40, 1)), np.linspace(1, 2, 40)[:, None])
    [curve] = fit_curves(predictions, [0, 1], truth, groups, coverage=0.9)
    assert curve is not None
    assert set(curve.radii_px) == {1}
    assert np.isnan(cross_fit(predictions, truth, groups, groups, _all, 0.9).radii_px).all()


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_radii_hold_as_many_labels_as_they_promise(seed: int, coverage: float):
    """Two sources, of which one is three times as far off; the faces of a group are hard alike."""
    rng = np.random.default_rng(seed)
    groups, sources = np.repeat(np.arange(300), 2), np.tile([4, 15], 300)
    hardness = np.exp(rng.normal(0, 0.5, 300))[groups, None] * np.where(sources == 4, 3, 1)[:, None]
    spreads = hardness * np.exp(rng.normal(0, 0.2, (600, 1)))
    distances = hardness * np.abs(rng.normal(0, 1, (600, 1)))
    found = cross_fit(*_faces(distances, spreads), groups, sources, _all, coverage)
    for rows in (sources == 4, sources == 15):
        held = found.held(rows)
        assert held is not None
        assert held.labels == 300
        assert held.share == pytest.approx(coverage, abs=0.1)  # three standard deviations
        assert held.radius_px < 1.1 * held.constant_px
        assert (found.ranks[rows] <= coverage).mean() == pytest.approx(held.share, abs=0.02)


def test_no_face_has_a_part_in_its_own_radius():
    rng = np.random.default_rng(0)
    distances, spreads = rng.uniform(1, 2, (100, 1)), rng.uniform(1, 2, (100, 1))
    groups = np.arange(100) // 2
    first = cross_fit(*_faces(distances, spreads), groups, groups * 0, _all, 0.9)
    distances[6:8] *= 100  # those of one group
    second = cross_fit(*_faces(distances, spreads), groups, groups * 0, _all, 0.9)
    assert first.radii_px[6:8].tolist() == second.radii_px[6:8].tolist()
    assert first.radii_px.tolist() != second.radii_px.tolist()
