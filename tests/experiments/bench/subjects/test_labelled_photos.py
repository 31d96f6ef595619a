"""The competition's points out of larger schemas, by numbers that can be checked by hand."""

from pathlib import Path

import numpy as np
import pytest

from experiments.bench.subjects.labelled_photos import (
    IMM,
    as_kaggle15,
    imm_photos,
    same_shapes,
    without_offsets,
)
from fkd.core.errors import UserError
from fkd.core.keypoints import IBUG68, IMM73, KAGGLE15, Schema


@pytest.mark.parametrize(("schema", "contour"), [(IBUG68, range(42, 48)), (IMM73, range(24, 32))])
def test_an_eye_is_the_mean_of_its_contour_and_other_points_are_those_of_the_same_name(
    schema: Schema, contour: range
):
    count = len(schema.names)
    points_px = np.stack([np.arange(count), np.full(count, 7.0)], axis=1)[None]
    chosen_px = dict(zip(KAGGLE15.names, as_kaggle15(points_px, schema)[0].tolist(), strict=True))
    assert chosen_px["left_eye_center"] == [np.mean(contour), 7]
    assert chosen_px["nose_tip"] == [schema.names.index("nose_tip"), 7]
    assert len(chosen_px) == 15


def test_points_lie_on_the_photo_where_the_shape_file_says():
    if not IMM.is_dir():
        pytest.skip("no ../shared/data/imm")
    first = imm_photos()[0]
    height, width = first.photo.grey.shape
    shape = (IMM / "01_01.asf").read_text().splitlines()
    x, y = next(map(float, line.split()[2:4]) for line in shape if line.split()[4:5] == ["45"])
    nose = KAGGLE15.names.index("nose_tip")
    assert first.points_px[nose] == pytest.approx([x * width, y * height], abs=0.01)
    assert first.person == 1


def test_the_same_labels_are_found_again_at_another_place_and_size():
    others_px = np.random.default_rng(0).uniform(0, 96, (3, 15, 2))
    points_px = np.stack([others_px[2] * 2 + 5, others_px[0] + np.eye(15, 2) * 9])
    assert same_shapes(points_px, others_px).tolist() == [2, -1]


def test_without_the_database_one_line_says_so(tmp_path: Path):
    with pytest.raises(UserError, match="expected labelled photos, found no such folder"):
        imm_photos(tmp_path / "imm")


def test_an_offset_is_learnt_on_other_people():
    errors_px = np.array([1.0, 3.0, 8.0])[:, None, None] * np.ones((3, 1, 2))
    persons = np.array([1, 1, 2])
    # Person 2 gives 8 to person 1; person 1 gives 2 to person 2.
    np.testing.assert_array_equal(without_offsets(errors_px, persons)[:, 0, 0], [-7, -5, 6])
