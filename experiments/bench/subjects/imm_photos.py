"""The IMM database's studio photos with the competition's 15 points: no experiment trains on them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.bench.conditions import WILD15
from fkd.core.errors import UserError
from fkd.core.keypoints import IMM73, KAGGLE15, Schema
from fkd.data.crops import from_crops
from fkd.data.labelled_photos import find_asf_files
from fkd.data.photos import Photo, read_photo
from fkd.data.source import load_data

IMM = WILD15.parent / "imm"


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo of one face. points_px: shape (15, 2), in pixels of the photo. person: who it shows."""

    photo: Photo
    points_px: npt.NDArray[np.float64]
    person: int


def as_kaggle15(points_px: npt.NDArray[np.floating], schema: Schema) -> npt.NDArray[np.float64]:
    """The competition's points out of a larger schema's, shape (faces, 15, 2).

    An eye's centre is the mean of its contour; the other points have the same names in both.
    points_px: shape (faces, points, 2).
    """
    return np.stack(
        [points_px[:, _positions(name, schema)].mean(axis=1, dtype=float) for name in KAGGLE15.names], axis=1
    )


def imm_photos(folder: Path = IMM) -> list[LabelledPhoto]:
    """All photos of the database; raises UserError where its folder is not there."""
    if not folder.is_dir():
        raise UserError(f"{folder}: expected the IMM database, found no such folder")
    data = load_data(str(folder), lambda line: None)
    files = [path for path in find_asf_files(folder).values() if path.suffix != ".asf"]
    photos = [read_photo(path) for path in files]
    # fkd reads a face as its photo's centre square of full height.
    shapes = [photo.grey.shape for photo in photos]
    squares = np.array([((width - height) // 2, 0, height) for height, width in shapes])
    points_px = as_kaggle15(from_crops(data.training.keypoints, squares), IMM73)
    assert data.groups is not None  # every file's name begins with the person
    return [LabelledPhoto(*each) for each in zip(photos, points_px, data.groups.tolist(), strict=True)]


def _positions(name: str, schema: Schema) -> list[int]:
    contour = name.removesuffix("center") if name.endswith("_eye_center") else None
    return [
        position
        for position, other in enumerate(schema.names)
        if other == name or (contour and other.startswith(contour))
    ]
