"""Drawn faces show their points where these are said to be."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fkd.core.keypoints import CENTRE_PX, KAGGLE15
from fkd.data.synthetic.face_drawing import draw_face
from fkd.data.synthetic.face_model import Identity, Scene


def plain_face(identity: Identity, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    image, keypoints = draw_face(identity, scene, np.random.default_rng(0))
    return image.astype(float), keypoints


def mirrored(keypoints: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return keypoints[KAGGLE15.twins] * [-1, 1] + [2 * CENTRE_PX, 0]


def test_a_straight_face_is_symmetric() -> None:
    image, keypoints = plain_face(Identity(), Scene())
    np.testing.assert_allclose(keypoints, mirrored(keypoints), atol=1e-4)
    assert keypoints[0, 0] > keypoints[1, 0]  # the person's left eye is on the viewer's right
    brows, eyes, nose, mouth = keypoints[6, 1], keypoints[0, 1], keypoints[10, 1], keypoints[13, 1]
    assert brows < eyes < nose < mouth < keypoints[14, 1]
    assert np.abs(image - image[:, ::-1]).mean() < 2  # strands of hair differ


@settings(deadline=None, max_examples=30)
@given(
    yaw=st.floats(-0.6, 0.6),
    pitch=st.floats(-0.4, 0.4),
    roll=st.floats(-0.4, 0.4),
    gaze=st.floats(-0.1, 0.1),
    light=st.floats(-1, 1),
)
def test_a_mirrored_head_gives_the_mirrored_face(
    yaw: float, pitch: float, roll: float, gaze: float, light: float
) -> None:
    def scene(sign: int) -> Scene:
        return Scene(
            yaw=sign * yaw,
            pitch=pitch,
            roll=sign * roll,
            gaze=(sign * gaze, 0),
            light=(sign * light, -0.4, 0.9),
        )

    bald = Identity(hairline=-4, hair=190)  # strands of hair lie at random
    (image, keypoints), (twin, twin_keypoints) = plain_face(bald, scene(1)), plain_face(bald, scene(-1))
    np.testing.assert_allclose(keypoints, mirrored(twin_keypoints), atol=1e-4)
    assert np.abs(image - twin[:, ::-1]).mean() < 3


POSES = [Scene(), Scene(yaw=0.35), Scene(yaw=-0.3, pitch=0.2, roll=0.3), Scene(mouth_open=0.3, smile=0.5)]
MOUTH_POINTS = ("left_corner", "right_corner", "center_top_lip", "center_bottom_lip")
MAGNIFICATION = 5  # of close-ups, so that brush widths and pixel steps count little
TOLERANCE_PX = 0.2 * MAGNIFICATION


def close_up(identity: Identity, scene: Scene, point: int, **change: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a close-up of a point changes with one tone of the face: x and y pixels (n, 2), and the point."""
    scene = replace(scene, size_px=MAGNIFICATION * scene.size_px, ambient=1.0)
    beside = plain_face(identity, scene)[1][point] - CENTRE_PX
    scene = replace(scene, centre_px=tuple(scene.centre_px - np.round(beside) + 0.25))
    image, keypoints = plain_face(identity, scene)
    change_of_tone = np.abs(image - plain_face(replace(identity, **change), scene)[0])
    y, x = np.nonzero(change_of_tone > change_of_tone.max() / 4)
    return np.stack([x, y], axis=-1), keypoints[point]


@pytest.mark.parametrize("scene", POSES)
@pytest.mark.parametrize("point", [0, 1])
def test_the_iris_is_drawn_round_the_eye_centre(scene: Scene, point: int) -> None:
    wide_open = Identity(eye_height=0.6, iris=20)
    drawn, eye_centre = close_up(wide_open, scene, point, iris=120)
    middle = (drawn.min(axis=0) + drawn.max(axis=0)) / 2
    np.testing.assert_allclose(middle, eye_centre, atol=TOLERANCE_PX)


@pytest.mark.parametrize("scene", POSES)
def test_the_lips_end_at_the_mouths_points(scene: Scene) -> None:
    left, right, top, bottom = (KAGGLE15.names.index(f"mouth_{name}") for name in MOUTH_POINTS)
    for point, axis, extreme in (
        (left, 0, np.max),
        (right, 0, np.min),
        (top, 1, np.min),
        (bottom, 1, np.max),
    ):
        drawn, expected = close_up(Identity(lips=60), scene, point, lips=200)
        if axis == 1:
            drawn = drawn[np.abs(drawn[:, 0] - expected[0]) <= 0.5]
        assert extreme(drawn[:, axis]) == pytest.approx(expected[axis], abs=TOLERANCE_PX)


def test_the_points_box_stands_at_the_place_and_size_of_the_scene() -> None:
    for scene in POSES:
        scene = replace(scene, centre_px=(40.0, 50.0), size_px=60.0)
        image, keypoints = draw_face(Identity(), scene, np.random.default_rng(0))
        low, high = keypoints.min(axis=0), keypoints.max(axis=0)
        np.testing.assert_allclose((low + high) / 2, (40, 50), atol=1e-4)
        width, height = high - low
        assert max(width, 1.17 * height) == pytest.approx(60)
        assert (image.shape, image.dtype, keypoints.dtype) == ((96, 96), np.uint8, np.float32)


def test_exposure_and_noise_are_the_cameras() -> None:
    def photograph(**camera: float) -> np.ndarray:
        return plain_face(Identity(), Scene(**camera))[0]

    plain = photograph()
    np.testing.assert_allclose(photograph(brightness=20), np.minimum(plain + 20, 255), atol=1)
    np.testing.assert_allclose(photograph(contrast=0.5), 128 + (plain - 128) / 2, atol=1)
    unsaturated = (plain > 30) & (plain < 225)
    assert (photograph(noise=5) - plain)[unsaturated].std() == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize("occluder", ["hand", "object", "hair"])
def test_an_occluder_hides_a_part_of_the_picture_and_moves_no_point(occluder: str) -> None:
    image, keypoints = plain_face(Identity(), Scene())
    hidden, same = plain_face(Identity(), Scene(occluder=occluder))
    np.testing.assert_array_equal(same, keypoints)
    assert 0.005 < (np.abs(hidden - image) > 20).mean() < 0.6
