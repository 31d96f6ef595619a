"""Members as one graph for ONNX Runtime predict as by Keras; the graph is written once and never trusted."""

from pathlib import Path

import numpy as np
import pytest
from exported_models import needs_onnx
from written_members import select, write_member

from fkd.core.errors import UserError
from fkd.ensemble import graph_file
from fkd.ensemble.ensemble import Ensemble, load_ensemble
from fkd.ensemble.graph_file import RUNTIME_VARIABLE, GraphMembers
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run, open_run

pytestmark = needs_onnx
FACES = np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8)


@pytest.fixture(autouse=True)
def by_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNTIME_VARIABLE, "onnx")


def write_run(folder: Path, experiment: Experiment) -> Run:
    """A run of finished members, of which the first specialist's second was chosen twice."""
    run = Run(folder / "store" / "tiny-faces")
    open_run(run, experiment, {"data_checksum": "0"})
    for member in experiment.members:
        write_member(run, experiment, *member)
    select(run, four=[1, 0, 1], eleven=[0])
    return run


@pytest.fixture
def run(tmp_path: Path, experiment: Experiment) -> Run:
    return write_run(tmp_path, experiment)


def load(run: Run) -> tuple[Ensemble, list[str]]:
    said: list[str] = []
    return load_ensemble(run, said.append), said


def assert_same_as_by_keras(run: Run, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(ensemble.members, GraphMembers)
    monkeypatch.setenv(RUNTIME_VARIABLE, "keras")
    by_keras, _ = load(run)
    assert not isinstance(by_keras.members, GraphMembers)
    for received, expected in zip(ensemble.predict(FACES), by_keras.predict(FACES), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        ["prediction.mirrored=true", "prediction.views=3"],
        [
            "network={kind: residual, filters: [4, 8], output_level: 1, sigma_px: 4.0}",
            "prediction.mirrored=true",
        ],
    ],
    ids=["views", "maps"],
)
def test_a_graph_predicts_as_keras_does(
    tmp_path: Path, tiny_experiment: Path, monkeypatch: pytest.MonkeyPatch, settings: list[str]
):
    run = write_run(tmp_path, load_experiment(str(tiny_experiment), settings))
    assert_same_as_by_keras(run, load(run)[0], monkeypatch)


def test_a_graph_is_written_once(run: Run):
    _, said = load(run)
    assert said[0] == f"{run.members_graph}: writing the members for ONNX Runtime, once ..."
    written_ns = run.members_graph.stat().st_mtime_ns
    ensemble, said = load(run)
    assert not [line for line in said if "ONNX" in line]
    assert run.members_graph.stat().st_mtime_ns == written_ns
    assert ensemble.members.numbers == {"four": [0, 1], "eleven": [0]}


@pytest.mark.parametrize("change", ["other members", "cut", "other weights", "other record"])
def test_a_graph_of_others_or_a_damaged_one_is_written_anew(
    run: Run, change: str, monkeypatch: pytest.MonkeyPatch
):
    load(run)
    if change == "other members":
        select(run, four=[1], eleven=[0])
    elif change == "cut":
        run.members_graph.write_bytes(run.members_graph.read_bytes()[:-1])
    elif change == "other weights":
        first, second = (run.member("four", index) for index in (0, 1))
        first.best_weights.write_bytes(second.best_weights.read_bytes())
        first.done.write_bytes(second.done.read_bytes())
    else:
        run.members_graph_record.write_text('{"graph": 3}')
    ensemble, said = load(run)
    assert "once ..." in said[0]
    assert_same_as_by_keras(run, ensemble, monkeypatch)


def test_damaged_weights_are_named(run: Run):
    load(run)
    weights = run.member("four", 1).best_weights
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UserError, match="four/01: expected a finished member with whole files"):
        load(run)


def test_what_cannot_be_converted_predicts_by_keras(run: Run, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("no such\noperation")

    monkeypatch.setattr(graph_file, "write_onnx", fail)
    ensemble, said = load(run)
    assert said[1].startswith(f"{run.members_graph}: not written (no such operation); predicting by Keras")
    assert np.isfinite(ensemble.predict(FACES)[0]).all()
    assert not run.members_graph.exists()


def test_without_onnx_runtime_keras_predicts(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(graph_file, "find_spec", lambda package: None)
    ensemble, said = load(run)
    assert not isinstance(ensemble.members, GraphMembers)
    assert not [line for line in said if "ONNX" in line]
