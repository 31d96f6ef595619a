"""The shapes in which face data travels through the package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Faces:
    """Grey faces and their labelled points.

    images: uint8, shape (faces, height, width).
    keypoints: float32 pixels, shape (faces, points, 2) in schema order; NaN where a point has no label.
    ids: int64, shape (faces,): the training face's place in its files counted from 0 (in training.csv: the
    row), or the ImageId of a test image.
    """

    images: npt.NDArray[np.uint8]
    keypoints: npt.NDArray[np.float32]
    ids: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.int64]) -> Faces:
        """The faces at these positions, in this order."""
        return Faces(self.images[rows], self.keypoints[rows], self.ids[rows])


@dataclass(frozen=True)
class FaceData:
    """One data set in the competition's form; data of another origin have no test images.

    name: the data set's name, part of every run's name.
    checksum: SHA-256 over the source files' contents, as hexadecimal text.
    point_names: the keypoints' names, in their order.
    groups: int64, one per training face; faces of one group show one person or photo. None if unknown.
    lookup: columns RowId, ImageId, FeatureName: the values that a submission must give, in its order.
    solution: columns RowId, FeatureName, Location, Usage where the hidden labels are known, else None.
    """

    name: str
    checksum: str
    point_names: tuple[str, ...]
    training: Faces
    test: Faces
    groups: npt.NDArray[np.int64] | None
    lookup: pd.DataFrame
    solution: pd.DataFrame | None
