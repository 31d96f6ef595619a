"""A trained backbone goes through the door of ImageNet's weights into another experiment."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from written_members import write_member

from experiments.backbone import write_backbone
from fkd.core.errors import UserError
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run, open_run
from fkd.training.networks.build import build_model
from fkd.training.networks.resnet import load_resnet_weights


def resnet(folder: Path, depth: int, weights: Path | str = "none") -> Experiment:
    file = folder / "resnet.yaml"
    file.write_text(
        f"network: {{kind: resnet, depth: {depth}, weights: '{weights}'}}\n"
        "specialists: {all: {keypoints: all, members: 1}}\n"
    )
    return load_experiment(str(file))


@pytest.mark.parametrize(("depth", "name"), [(18, "preset"), (50, "notop.h5")])
def test_another_network_begins_with_what_was_trained(tmp_path: Path, depth: int, name: str):
    if depth == 18 and importlib.util.find_spec("keras_hub") is None:
        pytest.skip("keras-hub is not installed: run make resnet")
    run, experiment = Run(tmp_path / "run"), resnet(tmp_path, depth)
    open_run(run, experiment, {"data_checksum": "0"})
    write_member(run, experiment, "all", 0)
    write_backbone(run, tmp_path / name)
    other = build_model(resnet(tmp_path, depth, tmp_path / name).network, 5, (7,))
    load_resnet_weights(other, resnet(tmp_path, depth, tmp_path / name).network)
    trained = build_model(experiment.network, 15, experiment.member_seed("all", 0))
    pairs = zip(*(model.get_layer("backbone").get_weights() for model in (trained, other)), strict=True)
    assert all(np.array_equal(mine, theirs) for mine, theirs in pairs)
    with pytest.raises(UserError, match="expected a new folder or file"):
        write_backbone(run, tmp_path / name)


def test_a_run_without_a_backbone_is_refused(tmp_path: Path, experiment: Experiment):
    run = Run(tmp_path / "run")
    open_run(run, experiment, {"data_checksum": "0"})
    with pytest.raises(UserError, match="expected a ResNet, received cnn"):
        write_backbone(run, tmp_path / "preset")
