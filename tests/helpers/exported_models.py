"""Runs whose members are exported, and exported models used as a stranger would use them."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from fkd.core.keypoints import CENTRE_PX, HALF_WIDTH_PX, KAGGLE15
from fkd.data.faces import FaceData, Faces
from fkd.deploy.model_card import CARD
from fkd.deploy.model_formats import FORMATS
from fkd.ensemble.selection import Estimate, MemberScore, SelectionReport
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.training.networks.build import build_model

ONNX_IS_INSTALLED = all(find_spec(package) for package in FORMATS["onnx"].packages)
needs_onnx = pytest.mark.skipif(not ONNX_IS_INSTALLED, reason="the extra `onnx` is not installed")
IMAGES = np.random.default_rng(5).integers(0, 256, (3, 96, 96), np.uint8)


def new_run(folder: Path) -> Run:
    """A run that has nothing but its provenance."""
    run = Run(folder / "tiny-faces")
    run.path.mkdir()
    run.provenance.write_text(
        json.dumps({"fkd": "0.1.0", "keras": "3.15.1", "data": "faces", "data_checksum": "5eed"})
    )
    return run


def three_faces(test: int = 3) -> FaceData:
    nothing = np.full((3, 15, 2), np.nan, np.float32)
    faces = Faces(IMAGES, nothing, np.arange(3))
    return FaceData(
        "faces", "5eed", KAGGLE15.names, faces, faces.take(np.arange(test)), None, pd.DataFrame(), None
    )


def selection_report(specialist: str, *chosen: int) -> SelectionReport:
    worth = Estimate(in_sample_px=2.0, cross_validated_px=2.125)
    members = tuple(MemberScore(index, 3.0, chosen.count(index)) for index in set(chosen))
    return SelectionReport(specialist, "greedy", members, chosen, worth, worth, worth)


def save_member(run: Run, experiment: Experiment, specialist: str, index: int) -> keras.Model:
    points = KAGGLE15.indices(experiment.specialists[specialist].keypoints)
    model = build_model(experiment.network, len(points), experiment.member_seed(specialist, index))
    run.member(specialist, index).path.mkdir(parents=True)
    model.save_weights(run.member(specialist, index).best_weights)
    return model


def save_constant_member(
    run: Run, experiment: Experiment, specialist: str, index: int, shift_px: float
) -> None:
    """Point i of the schema at (i + shift, 50), whatever the picture shows."""
    model = save_member(run, experiment, specialist, index)
    places_px = KAGGLE15.indices(experiment.specialists[specialist].keypoints) + shift_px
    pixels = np.stack([places_px, np.full(len(places_px), 50)], axis=1)
    kernel, _ = model.layers[-1].get_weights()
    model.layers[-1].set_weights([0 * kernel, ((pixels - CENTRE_PX) / HALF_WIDTH_PX).ravel()])
    model.save_weights(run.member(specialist, index).best_weights)


def run_as_a_stranger(cards: Mapping[Path, str]) -> list[np.ndarray]:
    """What each card's lines say of `face.png`, the first image, in a process without fkd.

    Nor can it import keras-hub, scikit-learn or JAX. cards: the lines by the folder in which they are run.
    """
    for folder in cards:
        cv2.imwrite(str(folder / "face.png"), IMAGES[0])
    work = [(str(folder), lines) for folder, lines in cards.items()]
    code = (
        "import os, sys, numpy\n"
        "sys.modules |= dict.fromkeys(('fkd', 'keras_hub', 'sklearn', 'jax'))\n"
        f"for folder, lines in {work!r}:\n"
        "    os.chdir(folder)\n"
        "    exec(lines, names := {})\n"
        "    numpy.save('points_px.npy', names['points_px'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [np.load(folder / "points_px.npy") for folder in cards]


def usage_blocks(folder: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (folder / CARD).read_text(), re.DOTALL)
