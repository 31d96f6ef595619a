import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fkd.keypoints import KAGGLE15, to_pixels, to_unit


def test_the_fifteen_points_split_into_four_and_eleven():
    assert len(KAGGLE15.names) == 15
    assert set(KAGGLE15.subsets["four"]) | set(KAGGLE15.subsets["eleven"]) == set(KAGGLE15.names)
    assert len(KAGGLE15.subsets["four"]) == 4
    assert len(KAGGLE15.subsets["eleven"]) == 11


def test_columns_are_in_the_order_of_the_competition():
    assert KAGGLE15.columns[:3] == ("left_eye_center_x", "left_eye_center_y", "right_eye_center_x")
    assert len(KAGGLE15.columns) == 30


def test_indices_are_in_schema_order():
    four = [KAGGLE15.names[i] for i in KAGGLE15.indices("four")]
    assert four == ["left_eye_center", "right_eye_center", "nose_tip", "mouth_center_bottom_lip"]


def test_twins_are_found_by_name():
    twin = {name: KAGGLE15.names[i] for name, i in zip(KAGGLE15.names, KAGGLE15.twins, strict=True)}
    assert twin["left_eyebrow_outer_end"] == "right_eyebrow_outer_end"
    assert twin["mouth_right_corner"] == "mouth_left_corner"
    assert twin["nose_tip"] == "nose_tip"
    np.testing.assert_array_equal(KAGGLE15.twins[KAGGLE15.twins], np.arange(15))


def test_the_frame_spans_minus_one_to_one():
    np.testing.assert_array_equal(to_unit(np.array([-0.5, 47.5, 95.5])), [-1, 0, 1])


def test_a_mirrored_pixel_is_a_negated_target():
    np.testing.assert_array_equal(to_unit(np.array([95.0 - 20])), -to_unit(np.array([20.0])))


def test_missing_labels_stay_missing():
    assert np.isnan(to_unit(np.array([np.nan]))).all()


@given(st.floats(-200, 300))
def test_pixels_come_back(pixel: float):
    np.testing.assert_allclose(to_pixels(to_unit(np.array([pixel]))), pixel, atol=1e-4)
