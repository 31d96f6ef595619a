"""The head in its own units: half the distance between the eyes is 1, u to the person's left, v down."""

import math

import numpy as np
import pytest

from fkd.core.keypoints import KAGGLE15
from fkd.data.synthetic.face_model import (
    Identity,
    Scene,
    head_mesh,
    head_outlines,
    keypoints_of,
    map_outlines,
    project,
    rotation,
)


def _points(scene: Scene) -> dict[str, np.ndarray]:
    return dict(zip(KAGGLE15.names, keypoints_of(head_outlines(Identity(), scene)), strict=True))


def test_the_usual_heads_points_stand_where_its_lengths_say() -> None:
    points = {name: point[:2] for name, point in _points(Scene()).items()}
    assert points["nose_tip"] == pytest.approx([0, 1.02])
    # Lids 0.09 below and 0.29 - 0.09 above the eyes' line.
    assert points["left_eye_center"] == pytest.approx([1, (0.09 - 0.2) / 2])
    assert points["left_eye_inner_corner"] == pytest.approx([1 - 0.4, 0.03])  # tilted by 0.03
    assert points["left_eye_outer_corner"] == pytest.approx([1 + 0.4, -0.03])
    assert points["left_eyebrow_inner_end"] == pytest.approx([0.4, -0.55])
    assert points["mouth_left_corner"] == pytest.approx([0.8, 2.05])
    # In the middle the upper lip is thinner by 0.28, the lower one thicker by a quarter.
    assert points["mouth_center_top_lip"] == pytest.approx([0, 2.05 - 0.24 * 0.72])
    assert points["mouth_center_bottom_lip"] == pytest.approx([0, 2.05 + 0.24 * 1.25])


def test_left_and_right_are_mirror_images() -> None:
    points = keypoints_of(head_outlines(Identity(), Scene()))
    np.testing.assert_allclose(points[KAGGLE15.twins], points * [-1, 1, 1], atol=1e-12)


def test_an_open_mouth_lowers_the_lower_lip_and_not_the_upper() -> None:
    shut, open_ = _points(Scene()), _points(Scene(mouth_open=0.3))
    assert open_["mouth_center_bottom_lip"] - shut["mouth_center_bottom_lip"] == pytest.approx([0, 0.3, 0])
    assert open_["mouth_center_top_lip"] == pytest.approx(shut["mouth_center_top_lip"])


@pytest.mark.parametrize(
    ("turn", "point", "expected"),
    [
        ("yaw", (0, 0, 1), (1, 0, 0)),  # what looked at the viewer looks to the person's left
        ("pitch", (0, 0, 1), (0, 1, 0)),  # ... or down
        ("roll", (1, 0, 0), (0, 1, 0)),
    ],
)
def test_quarter_turns(turn: str, point: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert rotation(Scene(**{turn: math.pi / 2})) @ point == pytest.approx(expected)


def test_yaw_comes_before_roll() -> None:
    both = rotation(Scene(yaw=math.pi / 2, roll=math.pi / 2))
    assert both @ [0, 0, 1] == pytest.approx([0, 1, 0])


def test_what_is_nearer_to_the_camera_is_larger() -> None:
    # The camera is 14 units away from the axis of the turns, which lies at z = -2.
    points = np.array([[1.0, 3.0, -2.0], [1.0, 3.0, 5.0]])
    np.testing.assert_allclose(project(points, Scene()), [[1, 3], [2, 6]])


def test_outlines_are_mapped_together_and_come_back_by_name() -> None:
    calls = []

    def add(points: np.ndarray) -> np.ndarray:
        calls.append(len(points))
        return points + 1

    outlines = map_outlines(add, {"a": np.zeros((2, 3)), "b": np.ones((1, 3))})
    assert calls == [3]
    assert {name: outline.tolist() for name, outline in outlines.items()} == {
        "a": [[1, 1, 1], [1, 1, 1]],
        "b": [[2, 2, 2]],
    }


def test_hair_ends_at_the_hairline() -> None:
    points, hair = head_mesh(Identity(hairline=-1.7, hair_volume=0), Scene())
    middle = points.shape[1] // 2
    v, cover = points[:, middle, 1], hair[:, middle]
    assert (cover[v < -1.7 - 0.225] == 1).all()
    assert (cover[v > -1.7 + 0.225] == 0).all()
    assert points[0, middle, 1] < -3
    assert points[-1, middle, 1] > 3.5
    thick, _ = head_mesh(Identity(hairline=-1.7, hair_volume=0.5), Scene())
    moved = np.linalg.norm(thick - points, axis=-1)
    np.testing.assert_allclose(moved, 0.5 * hair, atol=1e-12)
