"""Sheets of faces: where the faces and their dots stand."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from fkd.core.keypoints import KAGGLE15
from fkd.report.figures.face_sheet import LEFT_COLOUR, MIDLINE_COLOUR, RIGHT_COLOUR, face_sheet, side_colours


def test_colours_follow_the_persons_sides() -> None:
    colours = dict(zip(KAGGLE15.names, side_colours(KAGGLE15), strict=True))
    assert colours["left_eye_center"] == colours["mouth_left_corner"] == LEFT_COLOUR
    assert colours["right_eyebrow_inner_end"] == RIGHT_COLOUR
    assert colours["nose_tip"] == MIDLINE_COLOUR


def test_dots_stand_on_their_faces() -> None:
    points_px = np.array([[[0, 0], [95.6, 50]], [[10, 20], [np.nan, np.nan]], [[-0.5, 95.5], [40, 50]]])
    # 100 pixels an inch: faces of 0.96 inches, gaps of 0.06.
    figure = face_sheet(np.zeros((3, 96, 96)), points_px, ["red", "blue"], columns=2, width_in=1.98)
    [axes] = figure.axes
    [dots] = axes.collections
    # Pixel (0, 0) has its centre half a pixel inside the face; the dot at 95.6 is outside its face.
    expected = [[0.5, 0.5], [102 + 10.5, 20.5], [0, 102 + 96], [40.5, 102 + 50.5]]
    assert np.array(dots.get_offsets()) == pytest.approx(np.array(expected))
    assert [tuple(colour) for colour in dots.get_facecolors()] == [*[to_rgba("red")] * 3, to_rgba("blue")]
    extents = [[0, 96, 96, 0], [102, 198, 96, 0], [0, 96, 198, 102]]
    assert np.array([image.get_extent() for image in axes.images]) == pytest.approx(np.array(extents))
    assert axes.get_xlim() == pytest.approx((0, 198))
    assert axes.get_ylim() == pytest.approx((198, 0))
    assert figure.get_size_inches() == pytest.approx([1.98, 1.98])


def test_titles_stand_above_their_faces_and_leave_them_square() -> None:
    figure = face_sheet(np.zeros((2, 96, 96)), np.zeros((2, 1, 2)), ["red"], columns=1, titles=["a", "b"])
    [axes] = figure.axes
    tops = [image.get_extent()[3] for image in axes.images]
    places = [text.get_position()[1] for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == ["a", "b"]
    assert 0 < places[0] < tops[0]
    assert tops[0] + 96 < places[1] < tops[1]
    width_in, height_in = figure.get_size_inches()
    across, down = axes.get_xlim()[1], axes.get_ylim()[0]
    assert width_in / across == pytest.approx(height_in / down)
