"""Exported models are opened as a stranger would: by the card's own lines, where fkd cannot be imported."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from fkd.core.errors import UserError
from fkd.core.keypoints import CENTRE_PX, HALF_WIDTH_PX, KAGGLE15
from fkd.data.faces import FaceData, Faces
from fkd.deploy.export import ensemble_model, export_ensemble
from fkd.deploy.model_card import CARD
from fkd.deploy.model_formats import FORMATS
from fkd.ensemble.predict import predict_ensemble
from fkd.ensemble.selection import Estimate, MemberScore, SelectionReport
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.network import HeatmapNetwork, Network, ResidualNetwork, ResNet
from fkd.experiment.prediction import Prediction
from fkd.experiment.store import Run
from fkd.training.networks.build import build_model

needs_onnx = pytest.mark.skipif(
    any(find_spec(package) is None for package in FORMATS["onnx"].packages),
    reason="the extra `onnx` is not installed",
)
IMAGES = np.random.default_rng(5).integers(0, 256, (3, 96, 96), np.uint8)


@pytest.fixture
def experiment(tiny_experiment: Path) -> Experiment:
    return load_experiment(str(tiny_experiment))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "tiny-faces")
    run.path.mkdir()
    run.provenance.write_text(
        json.dumps({"fkd": "0.1.0", "keras": "3.15.1", "data": "faces", "data_checksum": "5eed"})
    )
    return run


def _faces(test: int = 3) -> FaceData:
    nothing = np.full((3, 15, 2), np.nan, np.float32)
    faces = Faces(IMAGES, nothing, np.arange(3))
    return FaceData(
        "faces", "5eed", KAGGLE15.names, faces, faces.take(np.arange(test)), None, pd.DataFrame(), None
    )


def _report(specialist: str, *chosen: int) -> SelectionReport:
    worth = Estimate(in_sample_px=2.0, cross_validated_px=2.125)
    members = tuple(MemberScore(index, 3.0, chosen.count(index)) for index in set(chosen))
    return SelectionReport(specialist, "greedy", members, chosen, worth, worth, worth)


def _save_member(run: Run, experiment: Experiment, specialist: str, index: int) -> keras.Model:
    points = KAGGLE15.indices(experiment.specialists[specialist].keypoints)
    model = build_model(experiment.network, len(points), experiment.member_seed(specialist, index))
    run.member(specialist, index).path.mkdir(parents=True)
    model.save_weights(run.member(specialist, index).best_weights)
    return model


def _save_constant_member(
    run: Run, experiment: Experiment, specialist: str, index: int, shift_px: float
) -> None:
    """Point i of the schema at (i + shift, 50), whatever the picture shows."""
    model = _save_member(run, experiment, specialist, index)
    places_px = KAGGLE15.indices(experiment.specialists[specialist].keypoints) + shift_px
    pixels = np.stack([places_px, np.full(len(places_px), 50)], axis=1)
    kernel, _ = model.layers[-1].get_weights()
    model.layers[-1].set_weights([0 * kernel, ((pixels - CENTRE_PX) / HALF_WIDTH_PX).ravel()])
    model.save_weights(run.member(specialist, index).best_weights)


def _run_as_a_stranger(folder: Path, code: str) -> np.ndarray:
    """What the lines say of `face.png`, the first of the images, in a process without fkd and keras-hub."""
    cv2.imwrite(str(folder / "face.png"), IMAGES[0])
    code = (
        f"import sys\nsys.modules['fkd'] = sys.modules['keras_hub'] = None\n{code}\n"
        "np.save('points_px.npy', points_px)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "points_px.npy")


def _usage(folder: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (folder / CARD).read_text(), re.DOTALL)


def test_members_weigh_by_count_and_points_stand_in_schema_order(run: Run, experiment: Experiment):
    _save_constant_member(run, experiment, "four", 0, shift_px=0)
    _save_constant_member(run, experiment, "four", 1, shift_px=3)
    _save_constant_member(run, experiment, "eleven", 0, shift_px=0)
    model = ensemble_model(run, experiment, {"four": [1, 0, 1], "eleven": [0]})
    received = model.predict_on_batch(IMAGES)
    four = KAGGLE15.indices("four")  # at i + (3 + 0 + 3) / 3
    expected_x = [i + 2 if i in four else i for i in range(15)]
    np.testing.assert_allclose(received[..., 0], [expected_x] * 3, atol=1e-4)
    np.testing.assert_allclose(received[..., 1], 50, atol=1e-4)


def test_specialists_of_the_same_points_are_averaged(run: Run, tiny_experiment: Path):
    fold = "specialists.fold={keypoints: four, members: 1, validation_fold: 1}"
    experiment = load_experiment(str(tiny_experiment), [fold])
    _save_constant_member(run, experiment, "four", 0, shift_px=0)
    _save_constant_member(run, experiment, "fold", 0, shift_px=3)
    model = ensemble_model(run, experiment, {"four": [0], "fold": [0]})
    expected_x = KAGGLE15.indices("four") + 1.5
    np.testing.assert_allclose(model.predict_on_batch(IMAGES)[..., 0], [expected_x] * 3, atol=1e-4)


@pytest.mark.parametrize("name", ["keras", "savedmodel", pytest.param("onnx", marks=needs_onnx)])
def test_the_cards_lines_work_without_fkd(tmp_path: Path, run: Run, experiment: Experiment, name: str):
    for member in experiment.members:
        _save_member(run, experiment, *member)
    folder = tmp_path / "models" / "faces"
    reports = [_report("four", 1, 0, 1), _report("eleven", 0)]
    said: list[str] = []
    export_ensemble(run, experiment, reports, _faces(), folder, [name], said.append)
    assert sorted(path.name for path in folder.iterdir()) == [CARD, FORMATS[name].file]
    assert [line.partition(": ")[0] for line in said] == [
        str(folder / FORMATS[name].file),
        str(folder / CARD),
    ]

    [code] = _usage(folder)
    expected = predict_ensemble(run, experiment, {"four": [1, 0, 1], "eleven": [0]}, IMAGES[:1])[0]
    np.testing.assert_allclose(_run_as_a_stranger(folder, code), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("network", "prediction"),
    [
        (HeatmapNetwork(kind="heatmap", filters=(2, 3)), {"peaks": "soft_argmax"}),
        (HeatmapNetwork(kind="heatmap", filters=(2, 3)), {"peaks": "argmax"}),
        (ResidualNetwork(kind="residual", filters=(2, 3)), {"mirrored": True}),
        (ResNet(kind="resnet", depth=18), {}),
    ],
    ids=["soft-argmax", "argmax", "residual-mirrored", "resnet18"],
)
def test_other_networks_need_keras_alone(
    tmp_path: Path, run: Run, experiment: Experiment, network: Network, prediction: dict[str, Any]
):
    if network.kind == "resnet":
        pytest.importorskip("keras_hub", reason="the extra `resnet` is not installed")
    experiment = experiment.model_copy(update={"network": network, "prediction": Prediction(**prediction)})
    _save_member(run, experiment, "four", 0)
    export_ensemble(run, experiment, [_report("four", 0)], _faces(), tmp_path / "out", say=lambda line: None)
    expected = predict_ensemble(run, experiment, {"four": [0]}, IMAGES[:1])[0, KAGGLE15.indices("four")]
    [code] = _usage(tmp_path / "out")
    np.testing.assert_allclose(_run_as_a_stranger(tmp_path / "out", code), expected, atol=1e-3)


def test_the_card_tells_where_the_model_comes_from(tmp_path: Path, run: Run, experiment: Experiment):
    _save_constant_member(run, experiment, "four", 0, shift_px=0)
    _save_constant_member(run, experiment, "four", 1, shift_px=3)
    experiment = experiment.model_copy(update={"prediction": Prediction(detector="haar")})
    said: list[str] = []
    export_ensemble(
        run, experiment, [_report("four", 1, 0, 1)], _faces(test=0), tmp_path / "out", say=said.append
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


def test_a_model_that_answers_otherwise_is_refused_and_nothing_is_left(
    tmp_path: Path, run: Run, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
):
    _save_constant_member(run, experiment, "four", 0, shift_px=0)
    monkeypatch.setattr("fkd.deploy.export.predict_ensemble", lambda *_: np.full((3, 15, 2), 50.002))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"--format keras: .* differs by 50 px; nothing was written"):
        export_ensemble(run, experiment, [_report("four", 0)], _faces(), tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


@needs_onnx
def test_what_cannot_be_converted_is_one_line(tmp_path: Path, run: Run, experiment: Experiment):
    maps = {"network": HeatmapNetwork(kind="heatmap", filters=(2,)), "prediction": Prediction(peaks="argmax")}
    experiment = experiment.model_copy(update=maps)
    _save_member(run, experiment, "four", 0)
    with pytest.raises(
        UserError, match=r"^--format onnx: this ensemble cannot be written[^\n]*Bitcast[^\n]*$"
    ):
        export_ensemble(run, experiment, [_report("four", 0)], _faces(), tmp_path / "out", ["keras", "onnx"])
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path, run: Run, experiment: Experiment):
    (tmp_path / "mine.txt").touch()
    for place in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(UserError, match="expected a new or empty folder"):
            export_ensemble(run, experiment, [_report("four", 0)], _faces(), place)


def test_an_empty_folder_is_filled(tmp_path: Path, run: Run, experiment: Experiment):
    _save_constant_member(run, experiment, "four", 0, shift_px=0)
    (tmp_path / "out").mkdir()
    export_ensemble(run, experiment, [_report("four", 0)], _faces(), tmp_path / "out", say=lambda line: None)
    assert (tmp_path / "out" / CARD).exists()


def test_a_missing_package_is_named(
    tmp_path: Path, run: Run, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
):
    others = {"tf2onnx": None}
    monkeypatch.setattr("fkd.deploy.model_formats.find_spec", lambda name: others.get(name, name))
    with pytest.raises(UserError, match="tf2onnx cannot be found; run `make onnx`"):
        export_ensemble(run, experiment, [_report("four", 0)], _faces(), tmp_path / "out", ["onnx"])
