"""The card's own lines are followed as a stranger would, where fkd cannot be imported."""

import re
from pathlib import Path

import numpy as np
import pytest
from exported_models import (
    IMAGES,
    ONNX_IS_INSTALLED,
    run_as_a_stranger,
    save_constant_member,
    save_member,
    selection_report,
    three_faces,
    usage_blocks,
)

from fkd.core.keypoints import KAGGLE15
from fkd.deploy.export import export_ensemble
from fkd.deploy.model_card import CARD, point_names, predicted_points
from fkd.deploy.model_formats import FORMATS
from fkd.ensemble.predict import predict_ensemble
from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Prediction
from fkd.experiment.store import Run


def test_the_cards_lines_work_without_fkd(tmp_path: Path, run: Run, experiment: Experiment):
    for member in experiment.members:
        save_member(run, experiment, *member)
    reports = [selection_report("four", 1, 0, 1), selection_report("eleven", 0)]
    cards = {}
    for name in ("keras", "savedmodel", *(["onnx", "onnx-int8"] if ONNX_IS_INSTALLED else [])):
        folder = tmp_path / "models" / name
        said: list[str] = []
        export_ensemble(run, experiment, reports, three_faces(), folder, [name], said.append)
        assert sorted(path.name for path in folder.iterdir()) == [CARD, FORMATS[name].file]
        assert [line.partition(": ")[0] for line in said] == [
            str(folder / FORMATS[name].file),
            str(folder / CARD),
        ]
        [cards[folder]] = usage_blocks(folder)
    expected = predict_ensemble(run, experiment, {"four": [1, 0, 1], "eleven": [0]}, IMAGES[:1])
    answers = zip(cards, run_as_a_stranger(cards), strict=True)
    for folder, points_px in answers:
        np.testing.assert_allclose(points_px, expected[0], atol=FORMATS[folder.name].tolerance_px)
    if not ONNX_IS_INSTALLED:
        pytest.skip("onnx: the extra `onnx` is not installed; the others passed")


def test_the_card_tells_where_the_model_comes_from(tmp_path: Path, run: Run, experiment: Experiment):
    save_constant_member(run, experiment, "four", 0, shift_px=0)
    save_constant_member(run, experiment, "four", 1, shift_px=3)
    experiment = experiment.model_copy(update={"prediction": Prediction(detector="haar")})
    said: list[str] = []
    export_ensemble(
        run,
        experiment,
        [selection_report("four", 1, 0, 1)],
        three_faces(test=0),
        tmp_path / "out",
        say=said.append,
    )
    card = (tmp_path / "out" / CARD).read_text()
    assert "| four | 4 | four/00 x1, four/01 x2 (greedy) | 2.125 |" in card
    assert "run | `tiny-faces`, experiment `tiny` (cnn)" in card
    assert "data | `faces`, SHA-256 `5eed`" in card
    assert "trained with | fkd 0.1.0, keras 3.15.1 |" in card
    assert re.findall(r"^\d+\. `(\w+)`$", card, re.MULTILINE) == list(KAGGLE15.subsets["four"])
    assert "Not predicted: left_eye_inner_corner, " in card
    assert "shape (faces, 4, 2)" in card
    assert "on 3 faces" in card  # of the training, where there are no test faces
    assert "prediction.detector=haar stays outside" in said[0]
    assert "no specialist predicts left_eye_inner_corner, " in said[1]


def test_predicted_points_are_those_of_the_chosen_specialists(experiment: Experiment):
    points = predicted_points(experiment, {"four": [0]})
    assert np.flatnonzero(points).tolist() == sorted(KAGGLE15.indices("four"))
    assert point_names(experiment, points) == list(KAGGLE15.subsets["four"])
    assert predicted_points(experiment, {"four": [0], "eleven": [0]}).all()
