"""The validation of a specialist: what is read, averaged and corrected, by numbers checked by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fkd.core.errors import UserError
from fkd.core.files import sha256
from fkd.core.keypoints import KAGGLE15
from fkd.data.faces import FaceData, Faces
from fkd.ensemble.validation import Validation, read_validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Prediction
from fkd.experiment.records import DamagedRecordError
from fkd.experiment.store import Run

FACES = 20


@pytest.fixture
def data() -> FaceData:
    """Rows 0 to 7 are complete, all labels at (40, 40), 8 to 18 have the four points, 19 has none."""
    keypoints = np.full((FACES, 15, 2), 40, np.float32)
    keypoints[8:, KAGGLE15.indices("eleven")] = np.nan
    keypoints[19] = np.nan
    faces = Faces(np.zeros((FACES, 96, 96), np.uint8), keypoints, np.arange(FACES))
    return FaceData("faces", "c" * 64, KAGGLE15.names, faces, faces, None, pd.DataFrame(), None)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of two members of four points; row 5 validates."""
    run = Run(tmp_path)
    for index in (0, 1):
        folder = run.member("four", index)
        folder.path.mkdir(parents=True)
        np.save(folder.validation, np.full((1, 4, 2), 10 + index, np.float32))
        np.save(folder.mirrored_validation, np.full((1, 4, 2), 20 + index, np.float32))
    write_split(run, [5], [2])
    return run


def write_split(run: Run, rows: list[int], groups: list[int]) -> None:
    split = {"training": [8], "validation": rows, "validation_groups": groups}
    run.split("four").write_text(json.dumps(split))


def read(
    run: Run, experiment: Experiment, data: FaceData, members: list[int], **prediction: object
) -> Validation:
    asked = experiment.model_copy(update={"prediction": Prediction(**prediction)})
    return read_validation(run, asked, "four", data.training, members)


def test_with_and_without_the_mirror(run: Run, experiment: Experiment, data: FaceData):
    plain = read(run, experiment, data, [0, 1])
    assert plain.predictions_px[:, 0, 0, 0].tolist() == [10, 11]
    assert read(run, experiment, data, [1], mirrored=True).predictions_px[:, 0, 0, 0].tolist() == [16]
    run.member("four", 1).mirrored_validation.unlink()
    with pytest.raises(UserError, match=r"four/01/mirrored_validation.npy, found none, as this member was"):
        read(run, experiment, data, [0, 1], mirrored=True)


def test_in_several_views(run: Run, experiment: Experiment, data: FaceData):
    def predict(**prediction: object) -> float:
        return float(read(run, experiment, data, [0], **prediction).predictions_px[0, 0, 0, 0])

    folder = run.member("four", 0)
    further = np.array([[16, 24], [40, 60]], np.float32)  # two more views, as they are and mirrored
    np.save(folder.views_validation, further[:, :, None, None, None] * np.ones((1, 4, 2)))
    assert predict(views=2) == (10 + 16) / 2
    assert predict(views=3) == (10 + 16 + 40) / 3
    assert predict(views=2, mirrored=True) == (10 + 20 + 16 + 24) / 4
    with pytest.raises(UserError, match=r"prediction.views: expected at most the 3 that members have"):
        predict(views=4)
    folder.views_validation.unlink()
    with pytest.raises(UserError, match=r"prediction.views: expected .*views_validation.npy, found none"):
        predict(views=2)


def test_members_by_their_numbers(run: Run, experiment: Experiment, data: FaceData):
    validation = read(run, experiment, data, [1, 0])
    assert validation.positions([0, 1, 1]) == [1, 0, 0]
    assert validation.average_px([1, 1, 0])[0, 0].tolist() == pytest.approx([32 / 3, 32 / 3])
    assert validation.truth_px.tolist() == [[[40, 40]] * 4]
    assert validation.label_counts.tolist() == [15]


def test_finished_members_are_those_that_are_read(run: Run, experiment: Experiment, data: FaceData):
    folder = run.member("four", 1)
    folder.done.write_text(json.dumps({"files": {"validation.npy": sha256(folder.validation)}}))
    validation = read_validation(run, experiment, "four", data.training)
    assert validation.members == (1,)
    assert validation.left_out == ("four/00: left out, its training is not finished",)
    folder.done.unlink()
    prediction = Prediction(mirrored=True, views=3, label_offsets=True)
    nobody = experiment.model_copy(update={"prediction": prediction})
    validation = read_validation(run, nobody, "four", data.training)
    assert validation.members == ()
    assert validation.predictions_px.shape == (0, 1, 4, 2)


def test_label_offsets_of_validation_and_submission(run: Run, experiment: Experiment, data: FaceData):
    rows = list(range(8))  # all complete, of four persons
    write_split(run, rows, [row // 2 for row in rows])
    np.save(run.member("four", 0).validation, np.full((8, 4, 2), 33, np.float32))
    validation = read(run, experiment, data, [0], label_offsets=True)
    # Four faces a half are off by 7, as if 10 more were not: 2. All eight: 7 * 8 / 18.
    np.testing.assert_allclose(validation.predictions_px, 35)
    offsets_px = validation.offsets_px([0, 0], np.full((3, 15, 2), 33.0), np.array([15, 15, 0]))
    np.testing.assert_allclose(offsets_px[:2], np.full((2, 4, 2), 7 * 8 / 18))
    np.testing.assert_allclose(offsets_px[2], 0)  # nobody has no labels


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 4, 2), np.float32),
        np.zeros((1, 4), np.float32),
        np.zeros((1, 4, 2), np.int64),
        np.array([[["pixels"] * 2] * 4], object),
    ],
)
def test_predictions_of_another_shape_or_type_are_one_line(
    run: Run, experiment: Experiment, data: FaceData, array: np.ndarray
):
    np.save(run.member("four", 0).validation, array)
    words = "four/00/validation.npy: expected predictions for 1 faces and 4 points, as split.json says"
    with pytest.raises(DamagedRecordError, match=rf"^[^\n]*{words}[^\n]*$"):
        read(run, experiment, data, [0])


def test_a_header_that_promises_more_than_there_is_takes_no_memory(
    run: Run, experiment: Experiment, data: FaceData
):
    path = run.member("four", 0).views_validation
    np.save(path, np.zeros((1, 1, 1, 4, 2), np.float32))
    path.write_bytes(path.read_bytes().replace(b"(1, 1, 1, 4, 2)", b"(999999999, 1, 1, 4, 2)")[:160])
    with pytest.raises(DamagedRecordError, match=r"views_validation.npy: expected predictions for 1 faces"):
        read(run, experiment, data, [0], views=2)
