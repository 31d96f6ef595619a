"""What is written in a format answers the same when it is read again."""

from pathlib import Path

import keras
import numpy as np
import pytest
from exported_models import IMAGES, needs_onnx, selection_report, three_faces

from fkd.core.errors import UserError
from fkd.deploy.export import export_ensemble
from fkd.deploy.model_formats import FORMATS, require_packages
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("keras", 1e-5),
        ("savedmodel", 1e-5),
        pytest.param("onnx", 1e-5, marks=needs_onnx),
        pytest.param("onnx-int8", 1e-2, marks=needs_onnx),
    ],
)
def test_a_written_model_is_read_again(tmp_path: Path, name: str, tolerance: float):
    images = keras.Input((96, 96), dtype="uint8", name="images")
    mean_and_one = keras.layers.Dense(2, name="mean_and_one")
    points = keras.layers.Reshape((1, 2))(mean_and_one(keras.layers.Reshape((96 * 96,))(images)))
    model = keras.Model(images, points)
    mean_and_one.set_weights([np.repeat([[1 / 96**2, 0]], 96**2, axis=0), np.array([0, 1])])
    FORMATS[name].write(model, tmp_path / FORMATS[name].file, IMAGES)
    received = FORMATS[name].read(tmp_path / FORMATS[name].file)(IMAGES)
    expected = [[[mean, 1]] for mean in IMAGES.mean(axis=(1, 2))]
    np.testing.assert_allclose(received, expected, rtol=tolerance)


def test_a_missing_package_is_named(
    tmp_path: Path, run: Run, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
):
    others = {"tf2onnx": None}
    monkeypatch.setattr("fkd.deploy.model_formats.find_spec", lambda name: others.get(name, name))
    with pytest.raises(UserError, match="received none called tf2onnx; run `make onnx`"):
        export_ensemble(
            run, experiment, [selection_report("four", 0)], three_faces(), tmp_path / "out", ["onnx"]
        )


def test_formats_that_need_no_more_than_fkd_are_always_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fkd.deploy.model_formats.find_spec", lambda name: None)
    require_packages(["keras", "savedmodel"])
    with pytest.raises(UserError) as raised:
        require_packages(["keras", "onnx"])
    assert str(raised.value).count("onnx, onnxruntime, tf2onnx") == 1
