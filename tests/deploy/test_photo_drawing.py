"""Drawings show every point where it is."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fkd.data.photos import read_photo
from fkd.deploy.photo_drawing import draw_points, encode_picture

# Red, green / blue, white.
COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


@pytest.mark.parametrize(("side", "scale"), [(20, 8), (160, 1), (640, 1)])
@pytest.mark.parametrize("background", [0, 255])
def test_points_are_seen_where_they_are(tmp_path: Path, side: int, scale: int, background: int) -> None:
    # 160 pixels are the least width of a face's square in the drawing.
    Image.new("L", (side + 10, side + 20), background).save(tmp_path / "photo.png")
    photo = read_photo(tmp_path / "photo.png")
    points = np.array([[side * 0.3, side * 0.4], [side * 0.6, side * 0.7], [np.nan, np.nan]])
    circles = np.column_stack([points, np.full(3, np.nan)])
    picture = draw_points(photo, np.array([[5, 10, side]]), [circles], [False])
    assert picture.shape == ((side + 20) * scale, (side + 10) * scale, 3)
    green = (picture[..., 1] > 200) & (picture[..., 0] < 90) & (picture[..., 2] < 90)
    count, _, _, centres = cv2.connectedComponentsWithStats(green.astype(np.uint8))
    assert count == 3  # with the background
    np.testing.assert_allclose(centres[1:], (points[:2] + 0.5) * scale - 0.5, atol=0.5)


def test_a_radius_is_a_circle_around_its_point(tmp_path: Path) -> None:
    Image.new("L", (200, 200), 128).save(tmp_path / "photo.png")
    picture = draw_points(
        read_photo(tmp_path / "photo.png"),
        np.array([[0, 0, 200]]),
        [np.array([[100.0, 90.0, 30.0]])],
        [False],
    )
    green = (picture[..., 1] > 150) & (picture[..., 0] < 90) & (picture[..., 2] < 90)
    assert green[90, 70]
    assert green[90, 130]
    assert green[60, 100]
    assert green[120, 100]
    assert not green[90, 85]


def test_the_square_of_a_doubtful_face_is_red(tmp_path: Path) -> None:
    Image.new("L", (200, 200), 128).save(tmp_path / "photo.png")
    photo, square = read_photo(tmp_path / "photo.png"), np.array([[20, 20, 160]])
    for doubtful, expected in ((False, (250, 220, 60)), (True, (230, 60, 60))):
        picture = draw_points(photo, square, [np.full((1, 3), np.nan)], [doubtful])
        assert tuple(picture[20, 100].tolist()) == expected


def test_drawing_changes_no_photo_and_needs_no_face(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "photo.png")
    photo = read_photo(tmp_path / "photo.png")
    np.testing.assert_array_equal(draw_points(photo, np.empty((0, 3), int), [], []), COLOURS)
    draw_points(photo, np.array([[-5, -5, 9]]), [np.zeros((1, 3))], [True])
    np.testing.assert_array_equal(photo.rgb, COLOURS)


@pytest.mark.parametrize(("suffix", "tolerance"), [(".png", 0), (".jpg", 6)])
def test_an_encoded_picture_is_the_picture(tmp_path: Path, suffix: str, tolerance: int) -> None:
    picture = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(encode_picture(picture, suffix))
    np.testing.assert_allclose(read_photo(path).rgb, picture, atol=tolerance)
