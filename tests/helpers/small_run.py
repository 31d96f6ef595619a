"""A finished run written by hand: 12 faces of noise, members whose errors are multiples of one pattern.

The validation faces are 8 to 11; in all their coordinates a member of factor f is wrong by f times 1, -1, 7
and -7 px, so that its RMSE is 5 |f| px, and an average's is 5 times the mean factor.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes
from tiny_experiment import TINY_EXPERIMENT

from fkd.core.files import sha256
from fkd.core.keypoints import KAGGLE15
from fkd.data.faces import FaceData, Faces
from fkd.experiment.store import MemberFolder, Run
from fkd.report.page import Section

ERRORS_PX = (1, -1, 7, -7)
VALIDATION = (8, 9, 10, 11)
FACTORS = {"four": (1.0, -0.8), "eleven": (1.0,)}


def small_faces() -> FaceData:
    """Twelve training faces with every point, four test images and a lookup table of two values each."""
    generator = np.random.default_rng(0)

    def some(count: int) -> Faces:
        images = generator.integers(0, 256, (count, 96, 96)).astype(np.uint8)
        keypoints = generator.integers(20, 76, (count, 15, 2)).astype(np.float32)
        return Faces(images, keypoints, np.arange(count))

    lookup = pd.DataFrame(
        {
            "RowId": np.arange(8),
            "ImageId": np.repeat(np.arange(4), 2),
            "FeatureName": ["nose_tip_x", "nose_tip_y"] * 4,
        }
    )
    return FaceData("faces", "abc", KAGGLE15.names, some(12), some(4), None, lookup, None)


def write_run(
    store: Path, faces: FaceData, factors: Mapping[str, Sequence[float | None]] = FACTORS, **settings: object
) -> Run:
    """A run with these members; None is a member that has not begun. `settings` replace the experiment's."""
    run = Run(store / "tiny-faces")
    run.path.mkdir(parents=True)
    experiment = (
        yaml.safe_load(TINY_EXPERIMENT) | {"name": "tiny", "selection": {"policy": "greedy"}} | settings
    )
    for name, members in factors.items():
        experiment["specialists"][name]["members"] = len(members)
    run.experiment.write_text(yaml.safe_dump(experiment, sort_keys=False))
    run.provenance.write_text(json.dumps({"fkd": "0.1.0", "data": "faces", "data_checksum": "abc"}))
    for specialist, members in factors.items():
        split = {"training": list(range(8)), "validation": VALIDATION, "validation_groups": [0, 0, 1, 1]}
        run.split(specialist).parent.mkdir()
        run.split(specialist).write_text(json.dumps(split))
        truth_px = faces.training.keypoints[list(VALIDATION)][:, KAGGLE15.indices(specialist)]
        for index, factor in enumerate(members):
            if factor is not None:
                errors_px = factor * np.reshape(ERRORS_PX, (4, 1, 1))
                write_member(run.member(specialist, index), truth_px + errors_px)
    return run


def write_member(folder: MemberFolder, validation_px: np.ndarray) -> None:
    """A finished member of three epochs, the second its best, with two filters of 3x3."""
    folder.path.mkdir()
    np.save(folder.validation, validation_px.astype(np.float32))
    write_history(folder, [6.0, 4.0, 5.0])
    with h5py.File(folder.best_weights, "w") as file:
        file["layers/conv2d/vars/0"] = np.arange(18, dtype=np.float32).reshape(3, 3, 1, 2) - 9
    write_done(folder)


def write_done(folder: MemberFolder) -> None:
    """Finish a member with the files that it has."""
    files = (folder.best_weights, folder.validation, folder.history)
    checksums = {path.name: sha256(path) for path in files}
    folder.done.write_text(json.dumps({"epochs": 3, "saving_seconds": 0.0, "files": checksums}))


def write_history(folder: MemberFolder, validation_rmse_px: Sequence[float]) -> None:
    """Epochs of eight images in half a second of training and one second in all."""
    table = pd.DataFrame({"validation_rmse_px": validation_rmse_px})
    table["epoch"] = np.arange(1, len(table) + 1)
    table["rmse_px"] = table["validation_rmse_px"] / 2
    table["images"], table["training_seconds"], table["seconds"] = 8, 0.5, 1.0
    table.to_csv(folder.history, index=False)


def axes_of(section: Section, name: str) -> list[Axes]:
    """The axes of a section's figure of this name, drawn."""
    figure = {figure.name: figure for figure in section.figures}[name].draw()
    figure.canvas.draw()
    return figure.axes
