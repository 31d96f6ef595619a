"""The data part: what its figures count, which of them are there, and what its sentence says."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure as Drawing
from repository import SHARED_DATA

from fkd.core.keypoints import IBUG68, IMM73, KAGGLE15, Schema, listed_schema
from fkd.data.faces import FaceData, Faces
from fkd.data.near_duplicates import near_duplicates
from fkd.data.source import load_data
from fkd.report.figures.data_figures import (
    block_rows,
    data_section,
    look_alikes,
    mean_image,
    mean_shape_px,
    missing_share,
    pairs_of_other_faces,
    spread_rows,
)
from fkd.report.page import page_html

THREE = listed_schema(("left_eye", "right_eye", "chin"))
NAN = np.nan


def smooth_images(count: int) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (count, 8, 8), np.uint8)
    return np.stack([cv2.resize(image, (96, 96), interpolation=cv2.INTER_CUBIC) for image in noise])


def face_data(keypoints_px: npt.ArrayLike, schema: Schema = THREE) -> FaceData:
    """A data set of such keypoints, none of whose images look alike."""
    keypoints = np.array(keypoints_px, np.float32)
    faces = Faces(smooth_images(len(keypoints)), keypoints, np.arange(len(keypoints)))
    nothing = pd.DataFrame()
    return FaceData("some", "abc", schema.names, faces, faces.take(np.array([], int)), None, nothing, None)


def drawn(data: FaceData, name: str, schema: Schema = THREE) -> Drawing:
    [figure] = [figure for figure in data_section(data, schema).figures if figure.name == name]
    return figure.draw()


COMPLETE = [[[60, 40], [30, 40], [48, 90]]] * 4
GAPS = [
    [[60, 40], [30, 40], [48, 90]],
    [[NAN, NAN], [30, 44], [48, 90]],
    [[NAN, NAN], [30, 42], [96, 90]],
]


def test_a_complete_data_set_has_no_empty_figures() -> None:
    section = data_section(face_data(COMPLETE), THREE)
    assert section.title == "The data: some"
    assert [figure.name for figure in section.figures] == ["faces", "mean-face"]
    assert section.text == (
        "4 training faces with 3 points; there are no missing labels and no near-duplicates and no labels "
        "outside the frame."
    )


def test_gaps_duplicates_and_labels_outside_have_figures() -> None:
    data = face_data(GAPS)
    images = data.training.images
    images[2] = images[0]
    section = data_section(data, THREE)
    assert [figure.name for figure in section.figures] == [
        "missing-labels",
        "labels-by-keypoint",
        "faces",
        "near-duplicates",
        "mean-face",
        "outside-the-frame",
    ]
    assert section.text == "3 training faces with 3 points; 1 have all, 2 of 9 labels are missing."


def test_heat_map_shows_each_row_of_a_small_file() -> None:
    axes = drawn(face_data(GAPS), "missing-labels").axes[0]
    assert axes.collections[0].get_array().tolist() == [[0, 100, 100], [0, 0, 0], [0, 0, 0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["left eye", "right eye", "chin"]
    assert axes.get_ylim() == (2.5, -0.5)


def test_bars_count_labels() -> None:
    axes = drawn(face_data(GAPS), "labels-by-keypoint").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [1, 3, 3]
    assert [text.get_text() for text in axes.texts] == ["1", "3", "3"]


def test_mean_faces_of_complete_rows_and_of_the_others() -> None:
    axes = drawn(face_data(GAPS), "mean-face").axes[0]
    assert [text.get_text() for text in axes.texts] == ["faces with all points: 1", "faces with gaps: 2"]
    # Of the second face no label says where the left eye is.
    left, _, _, top = axes.images[1].get_extent()
    _, _, _, right_eye, chin = np.array(axes.collections[0].get_offsets()) - [left, top]
    assert right_eye == pytest.approx([30.5, 43.5])
    assert chin == pytest.approx([72.5, 90.5])


def test_crosses_mark_labels_outside() -> None:
    axes = drawn(face_data(GAPS), "outside-the-frame").axes[0]
    inside, outside = axes.collections
    assert outside.get_offsets().tolist() == [[96, 90]]
    assert len(inside.get_offsets()) == 8
    frame = axes.patches[0].get_bbox()
    assert (frame.x0, frame.y0, frame.x1, frame.y1) == (-0.5, -0.5, 95.5, 95.5)


def test_shares_of_blocks_whose_last_is_smaller() -> None:
    labelled = np.array([[True, False], [True, True], [False, True], [False, False], [True, False]])
    assert missing_share(labelled, 2).tolist() == [[0, 100, 0], [50, 50, 100]]


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (120, 1), (121, 2), (596, 5), (5166, 50), (7049, 100)])
def test_blocks_have_round_sizes(rows: int, size: int) -> None:
    assert block_rows(rows) == size


@given(st.integers(1, 10_000), st.integers(1, 20))
def test_rows_are_spread_from_the_first_to_the_last(faces: int, at_most: int) -> None:
    rows = spread_rows(faces, at_most)
    assert len(rows) == min(faces, at_most)
    assert rows[0] == 0
    assert at_most == 1 or rows[-1] == faces - 1
    gaps = np.diff(rows)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_no_face_stands_twice_among_the_pairs_shown() -> None:
    pairs = np.array([[0, 1], [1, 2], [2, 3], [0, 4], [5, 6]])
    assert pairs_of_other_faces(pairs, 8).tolist() == [[0, 1], [2, 3], [5, 6]]
    assert pairs_of_other_faces(pairs, 2).tolist() == [[0, 1], [2, 3]]


def test_pairs_whose_pixels_differ_are_not_shown_as_look_alikes() -> None:
    face = np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8)
    brighter, negative, flat = face // 2 + 64, 255 - face, np.full_like(face, 128)
    pairs = np.array([[0, 2], [0, 1], [0, 3]])
    assert look_alikes(np.stack([face, brighter, negative, flat]), pairs).tolist() == [[0, 1]]
    assert look_alikes(np.stack([face]), np.empty((0, 2), np.int64)).shape == (0, 2)


def test_a_caption_counts_the_pairs_of_one_group() -> None:
    data = face_data(GAPS)
    data.training.images[2] = data.training.images[0]
    for groups, told in ((None, "side by side. By"), ([0, 1, 0], ", 1 of them"), ([0, 1, 2], ", 0 of them")):
        known = None if groups is None else np.array(groups)
        section = data_section(dataclasses.replace(data, groups=known), THREE)
        [caption] = [figure.caption for figure in section.figures if figure.name == "near-duplicates"]
        assert told in caption


def test_near_duplicates_come_the_most_alike_first() -> None:
    images = smooth_images(4)
    rng = np.random.default_rng(1)
    noisy = np.clip(images[1] + rng.normal(0, 20, images[1].shape), 0, 255).astype(np.uint8)
    assert near_duplicates(np.concatenate([images, [noisy, images[3]]])).tolist() == [[3, 5], [1, 4]]


def test_means() -> None:
    points_px = np.array([[[1, 2], [NAN, NAN]], [[3, 6], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]])
    np.testing.assert_array_equal(mean_shape_px(points_px), [[2, 4], [NAN, NAN]])
    images = np.array([[[10, 20]], [[30, 60]]], np.uint8)  # the means are 20 and 40
    assert mean_image(images).tolist() == [[0, 255]]
    assert mean_image(np.full((2, 3, 3), 7, np.uint8)).tolist() == [[0.0] * 3] * 3


@pytest.mark.parametrize(
    ("folder", "schema", "figures"),
    [
        ("wild15", KAGGLE15, 6),
        ("imm", IMM73, 3),
        ("ibug68", IBUG68, 3),
    ],
)
def test_real_data_make_a_page(
    folder: str, schema: Schema, figures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no {SHARED_DATA}: the faces of real people are not part of the repository")
    monkeypatch.chdir(tmp_path)  # its cache of the data set
    data = load_data(str(SHARED_DATA / folder), lambda line: None)
    some = dataclasses.replace(data, training=data.training.take(np.arange(0, len(data.training.ids), 4)))
    whole = data_section(data, schema)
    assert len(whole.figures) == figures
    assert page_html("Some faces", [data_section(some, schema)]).count("<img") >= 2
