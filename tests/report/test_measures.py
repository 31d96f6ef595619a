import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fkd.core.keypoints import IBUG68, IMM73, KAGGLE15
from fkd.core.metrics import rmse_px
from fkd.ensemble.selection import average_predictions
from fkd.report.measures import (
    binned_errors,
    continued_greedily,
    coordinate_rmse_px,
    ensemble_rmse_px,
    error_correlations,
    error_products,
    face_rmse_px,
    part_of_face,
)

# Two rows of one point; the second row's y has no label. Errors: (3, 4) and (0,).
TRUTH = np.array([[[10.0, 10.0]], [[20.0, np.nan]]])
AVERAGE = np.array([[[13.0, 14.0]], [[20.0, 50.0]]])

# Three members wrong by 2, -1 and 4 px everywhere.
LEVEL = np.zeros((3, 2, 2))
CONSTANT = LEVEL + np.reshape([2.0, -1.0, 4.0], (3, 1, 1, 1))


def test_products_are_means_of_the_labelled_errors():
    two = np.stack([AVERAGE, TRUTH + 1])  # the second is wrong by (1, 1) and (1,)
    np.testing.assert_allclose(error_products(two, TRUTH), [[25 / 3, 7 / 3], [7 / 3, 1]])


def test_curve_over_ensemble_sizes():
    products = error_products(CONSTANT, LEVEL)
    # 2; (2 - 1) / 2; (2 - 1 + 4) / 3
    np.testing.assert_allclose(ensemble_rmse_px(products, [0, 1, 2]), [2, 0.5, 5 / 3])


def test_a_repeated_member_weighs_double():
    # (-1 - 1 + 2) / 3 = 0
    np.testing.assert_allclose(
        ensemble_rmse_px(error_products(CONSTANT, LEVEL), [1, 1, 0]), [1, 1, 0], atol=1e-12
    )


@given(
    predictions=arrays(np.float64, (4, 3, 2, 2), elements=st.floats(-50, 50)),
    order=st.lists(st.integers(0, 3), min_size=1, max_size=6),
)
def test_curve_is_the_rmse_of_the_averages(predictions: np.ndarray, order: list[int]):
    truth = np.zeros((3, 2, 2))
    truth[0, 1, 0] = np.nan
    curve_px = ensemble_rmse_px(error_products(predictions, truth), order)
    averages = [average_predictions(predictions, order[:size]) for size in range(1, len(order) + 1)]
    np.testing.assert_allclose(curve_px, [rmse_px(average, truth) for average in averages], atol=1e-6)


def test_the_others_follow_the_chosen_greedily():
    errors = np.reshape([2.0, -1.0, 4.0, -3.0], (4, 1, 1, 1))
    products = error_products(np.zeros((4, 2, 2, 2)) + errors, np.zeros((2, 2, 2)))
    # After 1 (-1): adding 0 gives 1, adding 2 gives 3, adding 3 gives -4. Then 2 gives 5, 3 gives -2.
    assert continued_greedily(products, [1]) == [1, 0, 3, 2]


def test_repeats_among_the_chosen_stay():
    assert continued_greedily(error_products(CONSTANT, LEVEL), [1, 0, 1]) == [1, 0, 1, 2]


def test_correlation_of_signed_errors():
    pattern = np.array([[[1.0, 2.0]], [[3.0, 9.0]]])
    members = np.stack([pattern, 5 - 2 * pattern])
    np.testing.assert_allclose(error_correlations(members, np.zeros((2, 1, 2))), [[1, -1], [-1, 1]])


def test_one_member_is_like_itself():
    np.testing.assert_allclose(error_correlations(AVERAGE[None], TRUTH), [[1]])


def test_rmse_by_coordinate():
    # x: sqrt((9 + 0) / 2); y: 4, of the one label
    np.testing.assert_allclose(coordinate_rmse_px(AVERAGE, TRUTH), [[np.sqrt(4.5), 4]])


def test_rmse_by_face():
    np.testing.assert_allclose(face_rmse_px(AVERAGE, TRUTH), [np.sqrt(12.5), 0])


def test_a_face_or_coordinate_without_labels_has_no_error():
    unlabelled = np.full((1, 1, 2), np.nan)
    assert np.isnan(face_rmse_px(unlabelled, unlabelled)).all()
    assert np.isnan(coordinate_rmse_px(unlabelled, unlabelled)).all()


def test_bins_are_equally_full():
    disagreement = np.array([[1.0, 2.0, 3.0, 4.0, 9.0]])
    errors = np.array([[10.0, 20.0, 30.0, 50.0, np.nan]])
    table = binned_errors(disagreement, errors, bins=2)
    assert table["disagreement_px"].tolist() == [1.5, 3.5]
    assert table["error_px"].tolist() == [15, 40]
    assert table["lower_px"].tolist() == [12.5, 35]
    assert table["upper_px"].tolist() == [17.5, 45]
    assert table["values"].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("point", "part"),
    [
        ("left_eyebrow_inner_end", "eyebrows"),
        ("left_eye_center", "eyes"),
        ("right_pupil", "eyes"),
        ("nose_tip", "nose"),
        ("right_nostril_outer", "nose"),
        ("mouth_center_bottom_lip", "mouth"),
        ("top_lip_inside_right", "mouth"),
        ("jaw_right_1", "jaw"),
        ("chin", "jaw"),
        ("scar", "other"),
    ],
)
def test_parts_of_the_face(point: str, part: str):
    assert part_of_face(point) == part


def test_every_point_of_every_schema_has_a_part():
    names = [name for schema in (KAGGLE15, IBUG68, IMM73) for name in schema.names]
    assert [name for name in names if part_of_face(name) == "other"] == []
