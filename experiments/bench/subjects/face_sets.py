"""Faces with the competition's points: some that trained the champion, and all that validate it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.bench.subjects.finished_run import CHAMPION, stored_run
from fkd.core.errors import UserError
from fkd.core.keypoints import label_counts
from fkd.data.source import load_data
from fkd.runs.splits import read_split

SOURCES = ("source A", "source B")
FEW_LABELS = 4  # has a face of source B; those of source A have more
LEARNT_ON = 300  # faces of a source

Pixels = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FaceSet:
    """Faces (n, 96, 96), their points (n, 15, 2), NaN for none, and whose constant offset each has (n,).

    kinds: sources, as indices of SOURCES, or persons.
    """

    faces: npt.NDArray[np.uint8]
    truth_px: Pixels
    kinds: Kinds


def champions_faces(data_folder: Path) -> tuple[FaceSet, FaceSet]:
    """Some faces of each source that trained the champion, and all that validate it.

    Raises UserError without the champion's run.
    """
    run = stored_run(CHAMPION, data_folder)
    if not run.experiment.is_file():
        raise UserError(
            f"{run.path}: expected the champion, found no such run; train it with: "
            f"fkd train {CHAMPION} --data {data_folder}"
        )
    faces = load_data(str(data_folder), lambda line: None).training
    [specialist] = run.read_experiment().specialists
    split = read_split(run, specialist)
    kinds = (label_counts(faces.keypoints) <= FEW_LABELS).astype(np.int64)
    learnt_on = [
        some[np.linspace(0, len(some) - 1, LEARNT_ON).astype(int)]
        for kind in range(len(SOURCES))
        if len(some := split.training[kinds[split.training] == kind])
    ]
    training, others = (
        FaceSet(faces.images[rows], faces.keypoints[rows].astype(np.float64), kinds[rows])
        for rows in (np.concatenate(learnt_on), split.validation)
    )
    return training, others


def without_kinds_offsets(errors_px: Pixels, kinds: Kinds, learnt_px: Pixels, learnt_kinds: Kinds) -> Pixels:
    """Errors less the mean error of other faces of their kind, point by point.

    errors_px, learnt_px: shape (n, points, 2) and (m, points, 2), NaN for none. kinds: shapes (n,) and (m,).
    """
    means_px = pd.DataFrame(learnt_px.reshape(len(learnt_px), -1)).groupby(learnt_kinds).mean()
    return errors_px - means_px.loc[kinds].to_numpy().reshape(errors_px.shape)


def root_mean_square(errors: Pixels) -> float:
    """Over all that are known, to three decimals."""
    return round(float(np.sqrt(np.nanmean(errors**2))), 3)


def are_found(points: Pixels) -> npt.NDArray[np.bool_]:
    """Which faces have any point, shape (n,); points: shape (n, points, 2)."""
    return np.isfinite(points).any(axis=(1, 2))
