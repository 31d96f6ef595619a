"""Faces found where there is one; points that come back to where they were seen."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import SHARED_DATA

from fkd.core.errors import UserError
from fkd.core.keypoints import IMAGE_SIZE_PX, KAGGLE15
from fkd.data.crops import CASCADE, WHOLE_IMAGE, crop_faces, face_crops, find_faces, from_crops
from fkd.data.synthetic.data_set import draw_synthetic_faces

REAL_FACES = SHARED_DATA / "wild15"
BLANK = np.full((IMAGE_SIZE_PX, IMAGE_SIZE_PX), 128, np.uint8)
PIXELS = np.arange(IMAGE_SIZE_PX)

BOXES = st.integers(20, IMAGE_SIZE_PX).flatmap(
    lambda side: st.tuples(*[st.integers(0, IMAGE_SIZE_PX - side)] * 2, st.just(side))
)


@pytest.fixture(scope="module")
def drawn() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Twelve faces and their points; the cascade finds the first eight and others."""
    return draw_synthetic_faces(0, range(12), range(12), [False] * 12)


def centroid(image: npt.NDArray[np.uint8]) -> list[float]:
    """Of grey values, as x and y in pixels."""
    return [float(image.sum(axis=axis) @ PIXELS / image.sum()) for axis in (0, 1)]


def eyes_and_nose_in_box(
    points_px: npt.NDArray[np.float32], boxes: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """x and y from 0 to 1 across each box, shape (n, 3, 2); boxes of this cascade may end above the chin."""
    middle = KAGGLE15.indices(["left_eye_center", "right_eye_center", "nose_tip"])
    return (points_px[:, middle] + 0.5 - boxes[:, np.newaxis, :2]) / boxes[:, np.newaxis, 2:]


def test_the_box_holds_the_drawn_face(drawn) -> None:
    images, points_px = (part[:8] for part in drawn)
    boxes = find_faces(images)
    assert np.all(boxes[:, 2] < IMAGE_SIZE_PX)
    left_eyes, right_eyes, noses = eyes_and_nose_in_box(points_px, boxes).swapaxes(0, 1)
    # The person's left eye is on the right.
    assert np.all((left_eyes > [0.5, 0.2]) & (left_eyes < [0.9, 0.6]))
    assert np.all((right_eyes > [0.1, 0.2]) & (right_eyes < [0.5, 0.6]))
    assert np.all((noses > [0.2, 0.4]) & (noses < [0.8, 0.9]))


def test_a_crop_shows_the_box(drawn) -> None:
    images, _ = drawn
    crops, boxes = face_crops(images)
    np.testing.assert_array_equal(boxes, find_faces(images))
    for crop, image, (left, top, side) in zip(crops, images, boxes, strict=True):
        shrunk = cv2.resize(crop, (int(side), int(side)), interpolation=cv2.INTER_AREA)
        difference = shrunk.astype(float) - image[top : top + side, left : left + side]
        assert np.abs(difference).mean() < 4  # of 255; enlarging and shrinking blur a little


def test_every_image_is_looked_at_by_itself(drawn) -> None:
    images, _ = drawn
    one_by_one = [find_faces(image[np.newaxis])[0] for image in images]
    np.testing.assert_array_equal(find_faces(images), one_by_one)


def test_no_face_means_the_whole_image() -> None:
    np.testing.assert_array_equal(find_faces(BLANK[np.newaxis]), [WHOLE_IMAGE])


def test_two_faces_mean_the_whole_image(drawn) -> None:
    images, _ = drawn
    small = [cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA) for image in images[:2]]
    one, two = BLANK.copy(), BLANK.copy()
    one[24:72, :48] = small[0]
    two[24:72] = np.hstack(small)
    boxes = find_faces(np.stack([one, two]))
    assert boxes[0, 2] <= 48  # it is found when alone
    np.testing.assert_array_equal(boxes[1], WHOLE_IMAGE)


def test_no_images_give_no_boxes() -> None:
    none = np.empty((0, IMAGE_SIZE_PX, IMAGE_SIZE_PX), np.uint8)
    boxes = find_faces(none)
    assert boxes.shape == (0, 3)
    assert crop_faces(none, boxes).shape == none.shape


def test_points_of_a_crop_by_hand() -> None:
    # A box of half the side: its pixels are two crop pixels wide. Its first pixel's centre is the image's
    # (10, 20) and lies between crop pixels 0 and 1; the crop's left edge, -0.5, is the image's 9.5.
    boxes = np.array([[10, 20, 48]])
    crop_px = np.array([[[0.5, 0.5], [-0.5, 95.5], [np.nan, np.nan]]])
    np.testing.assert_array_equal(from_crops(crop_px, boxes), [[[10, 20], [9.5, 67.5], [np.nan, np.nan]]])


def test_a_whole_image_and_its_points_stay_as_they_are(drawn) -> None:
    images, points_px = drawn
    boxes = np.tile(WHOLE_IMAGE, (len(images), 1))
    np.testing.assert_array_equal(crop_faces(images, boxes), images)
    np.testing.assert_allclose(from_crops(points_px, boxes), points_px, atol=1e-5)


@settings(deadline=None)
@given(boxes=st.lists(BOXES, min_size=1, max_size=4), data=st.data())
def test_a_dot_seen_in_the_crop_is_brought_back_to_where_it_is(boxes, data) -> None:
    # Eight pixels inside the box, so that the crop shows the whole dot.
    inside = [
        [data.draw(st.floats(corner + 8, corner + side - 9)) for corner in corners]
        for *corners, side in boxes
    ]
    images = np.stack(
        [
            np.round(
                250 * np.exp(-((PIXELS - x) ** 2 + (PIXELS[:, np.newaxis] - y) ** 2) / (2 * 1.5**2))
            ).astype(np.uint8)
            for x, y in inside
        ]
    )
    crops = crop_faces(images, np.array(boxes))
    seen_px = np.array([[centroid(crop)] for crop in crops])
    np.testing.assert_allclose(from_crops(seen_px, np.array(boxes))[:, 0], inside, atol=0.05)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut off", "another"])
def test_an_unreadable_cascade_is_one_line(damage: str, tmp_path: Path, monkeypatch, capfd) -> None:
    whole = (Path(cv2.data.haarcascades) / CASCADE).read_text()
    texts = {"empty": "", "cut off": whole[:5000], "another": "<?xml version='1.0'?><opencv_storage/>"}
    if damage in texts:
        (tmp_path / CASCADE).write_text(texts[damage])
    monkeypatch.setattr(cv2.data, "haarcascades", f"{tmp_path}/")
    with pytest.raises(UserError, match=f"{CASCADE}, received OpenCV 4.*; run pip install") as raised:
        find_faces(BLANK[np.newaxis])
    assert "\n" not in str(raised.value)
    assert "ERROR" not in capfd.readouterr().err  # OpenCV logs a missing file


def test_an_opencv_without_cascades_is_one_line(monkeypatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier")  # as OpenCV 5 is
    with pytest.raises(UserError, match="or do without it: set prediction"):
        find_faces(BLANK[np.newaxis])


@pytest.mark.skipif(not REAL_FACES.is_dir(), reason="no real faces at ../shared/data/wild15")
def test_the_box_holds_the_middle_of_real_faces(workplace: Path) -> None:
    from fkd.data.source import load_data

    faces = load_data(str(REAL_FACES), say=lambda _: None).training
    boxes = find_faces(faces.images[:60])
    found = boxes[:, 2] < IMAGE_SIZE_PX
    assert found.sum() >= 20
    positions = eyes_and_nose_in_box(faces.keypoints[:60][found], boxes[found])
    # Medians, because a few boxes show something else.
    left_eye, right_eye, nose = np.nanmedian(positions, axis=0)
    np.testing.assert_allclose(left_eye, [0.73, 0.39], atol=0.05)
    np.testing.assert_allclose(right_eye, [0.27, 0.39], atol=0.05)
    np.testing.assert_allclose(nose, [0.5, 0.65], atol=0.05)
