import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkd.core.keypoints import (
    IBUG68,
    IMM73,
    KAGGLE15,
    SCHEMAS,
    Schema,
    average_augmented,
    is_far_outside,
    is_labelled,
    is_outside_frame,
    label_counts,
    listed_schema,
    mirror_pixels,
    to_pixels,
    to_unit,
)


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


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_every_point_has_one_name_and_one_twin(schema: Schema):
    assert len(set(schema.names)) == len(schema.names)
    np.testing.assert_array_equal(schema.twins[schema.twins], np.arange(len(schema.names)))
    for name, twin in zip(schema.names, schema.twins, strict=True):
        sided = "left" in name or "right" in name
        assert (schema.names[twin] != name) == sided


def test_the_points_of_the_300w_project():
    assert len(IBUG68.names) == 68
    places = {0: "jaw_right_1", 8: "chin", 16: "jaw_left_1", 21: "right_eyebrow_inner_end", 30: "nose_tip"}
    places |= {36: "right_eye_outer_corner", 42: "left_eye_inner_corner", 48: "mouth_right_corner"}
    places |= {54: "mouth_left_corner", 57: "mouth_center_bottom_lip", 62: "top_lip_inside_center"}
    assert {i: IBUG68.names[i] for i in places} == places
    assert IBUG68.twins[[0, 17, 36, 37, 41, 49, 60, 67]].tolist() == [16, 26, 45, 44, 46, 53, 64, 65]


def test_the_points_of_the_imm_database():
    assert len(IMM73.names) == 73
    places = {0: "right_eyebrow_outer_end", 8: "left_eyebrow_outer_end", 32: "right_pupil", 45: "nose_tip"}
    places |= {34: "nose_left_root", 46: "mouth_right_corner", 54: "mouth_center_bottom_lip", 67: "chin"}
    assert {i: IMM73.names[i] for i in places} == places
    assert IMM73.twins[[0, 1, 16, 17, 34, 47, 55, 56, 62]].tolist() == [8, 15, 24, 31, 44, 51, 53, 58, 72]


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_all_is_a_subset_of_every_schema(schema: Schema):
    np.testing.assert_array_equal(schema.indices("all"), np.arange(len(schema.names)))


def test_points_may_be_listed():
    assert IMM73.indices(["chin", "nose_tip"]).tolist() == [45, 67]
    with pytest.raises(KeyError, match=r"imm73 has no point 'hat'; its points: right_eyebrow_outer_end,"):
        IMM73.indices(["hat"])
    with pytest.raises(KeyError, match=r"imm73 has the subsets all .* received 'four'"):
        IMM73.indices("four")


def test_a_listed_schema_has_its_points_and_all():
    schema = listed_schema(("left_eye", "nose", "right_eye"))
    assert schema.twins.tolist() == [2, 1, 0]
    assert schema.columns[:2] == ("left_eye_x", "left_eye_y")
    assert schema.indices("all").tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "at least one point"),
        (("nose", "nose"), "'nose' twice"),
        (("left_eye", "nose"), "expected 'right_eye' beside its mirror twin 'left_eye'"),
    ],
)
def test_a_schema_that_cannot_be_listed(names: tuple[str, ...], words: str):
    with pytest.raises(ValueError, match=words):
        listed_schema(names)


def test_the_frame_spans_minus_one_to_one():
    np.testing.assert_array_equal(to_unit(np.array([-0.5, 47.5, 95.5])), [-1, 0, 1])


def test_a_mirrored_pixel_is_a_negated_target():
    np.testing.assert_array_equal(to_unit(np.array([95.0 - 20])), -to_unit(np.array([20.0])))


def test_missing_labels_stay_missing():
    assert np.isnan(to_unit(np.array([np.nan]))).all()


@given(st.floats(-200, 300))
def test_pixels_come_back(pixel: float):
    np.testing.assert_allclose(to_pixels(to_unit(np.array([pixel]))), pixel, atol=1e-4)


def test_mirrored_points_take_their_twins_place():
    left_right_nose = np.array([[[70, 40], [30, 41], [50, 60]]], np.float32)
    mirrored = mirror_pixels(left_right_nose, np.array([1, 0, 2]))
    assert mirrored.tolist() == [[[65, 41], [25, 40], [45, 60]]]


def test_a_point_is_labelled_by_both_coordinates():
    points_px = np.array([[[1, 2], [np.nan, 3], [4, np.nan], [np.nan, np.nan]]])
    assert is_labelled(points_px).tolist() == [[True, False, False, False]]


def test_frame_ends_half_a_pixel_beyond_the_last_centres():
    points_px = np.array([[[-0.5, 95.5], [-0.6, 5], [5, 95.6], [np.nan, np.nan], [np.nan, 200]]])
    assert is_outside_frame(points_px).tolist() == [[False, True, True, False, False]]


def test_the_average_is_over_views_and_mirror():
    # Two views, as they are and mirrored, of one image with one point; before them a member.
    pixels = np.array([[10, 20], [30, 60]], np.float32)[None, :, :, None, None, None] * np.ones(
        (2, 2, 2, 1, 1, 2)
    )
    assert average_augmented(pixels).tolist() == [[[[30, 30]]]] * 2
    assert average_augmented(pixels[0]).tolist() == [[[30, 30]]]


def test_a_label_is_far_outside_beyond_a_frame_on_either_side():
    values = np.array([-96.5, -96.0, 0.0, 192.0, 192.5, np.nan])
    assert is_far_outside(values).tolist() == [True, False, False, False, True, False]


def test_labelled_points_are_counted() -> None:
    keypoints = np.zeros((3, 2, 2))
    keypoints[1, 0] = np.nan
    keypoints[2, 1, 1] = np.nan
    assert label_counts(keypoints).tolist() == [2, 1, 1]
