"""Labels that are wrong on purpose: single points moved at random, the rest as drawn."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from fkd.core.keypoints import IMAGE_SIZE_PX, KAGGLE15, is_labelled
from fkd.data.faces import FaceData

NEAREST_PX, FURTHEST_PX = 5.0, 20.0


def planted_errors(faces: FaceData, errors: int, seed: int = 0) -> pd.DataFrame:
    """Labels to be moved within their pictures: row, point, distance_px, x_px and y_px of where they go.

    All labels are equally likely, every direction, and every distance from NEAREST_PX to FURTHEST_PX.
    """
    rng = np.random.default_rng(seed)
    labels = np.argwhere(is_labelled(faces.training.keypoints))
    moved = []
    for row, point in labels[rng.permutation(len(labels))]:
        distance_px, turn = rng.uniform(NEAREST_PX, FURTHEST_PX), rng.uniform(0, 2 * np.pi)
        x_px, y_px = faces.training.keypoints[row, point] + distance_px * np.array(
            [np.cos(turn), np.sin(turn)]
        )
        if min(x_px, y_px) >= 0 and max(x_px, y_px) <= IMAGE_SIZE_PX - 1:
            moved.append((row, point, distance_px, x_px, y_px))
        if len(moved) == errors:
            break
    return pd.DataFrame(moved, columns=["row", "point", "distance_px", "x_px", "y_px"])


def write_with_errors(source: Path, folder: Path, planted: pd.DataFrame) -> None:
    """A copy of a data set in the competition's form in which these labels are moved."""
    shutil.copytree(source, folder)
    archive = folder / "training.zip"
    with zipfile.ZipFile(archive) as zipped, zipped.open("training.csv") as file:
        table = pd.read_csv(file, dtype={"Image": str})
    for one in planted.itertuples():
        name = KAGGLE15.names[one.point]
        table.loc[one.row, [f"{name}_x", f"{name}_y"]] = one.x_px, one.y_px
    archive.unlink()
    table.to_csv(folder / "training.csv", index=False)
