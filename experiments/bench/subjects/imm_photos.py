"""The IMM database's studio photos with the competition's 15 points: no experiment trains on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.bench.conditions import WILD15
from fkd.core.errors import UserError
from fkd.core.keypoints import IMM73, KAGGLE15, Schema
from fkd.data.crops import from_crops
from fkd.data.face_finder import find_faces_in_photo
from fkd.data.labelled_photos import Square, cut_out, find_asf_files
from fkd.data.photos import Photo, read_photo
from fkd.data.source import load_data

Pixels = npt.NDArray[np.float64]
Persons = npt.NDArray[np.int64]

IMM = WILD15.parent / "imm"


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo of one face. points_px: shape (15, 2), in pixels of the photo. person: who it shows."""

    photo: Photo
    points_px: Pixels
    person: int

    def is_shown_by(self, square: Square) -> bool:
        """Whether a square is about the labelled face, whose centre then lies in its middle half."""
        off_px = self.points_px.mean(axis=0) - (np.array(square[:2]) + square.side_px / 2)
        return bool((np.abs(off_px) < square.side_px / 4).all())


def as_kaggle15(points_px: npt.NDArray[np.floating], schema: Schema) -> Pixels:
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


def found_faces(photos: Sequence[LabelledPhoto]) -> tuple[npt.NDArray[np.uint8], Pixels, Persons]:
    """The faces that fkd finds, as 96x96 pixels, their points in these pixels and who they show.

    Shapes (n, 96, 96), (n, 15, 2) and (n,).
    """
    found = [
        (*cut_out(labelled.photo.grey, labelled.points_px, square), labelled.person)
        for labelled in photos
        for square in starmap(Square, find_faces_in_photo(labelled.photo.grey).tolist())
        if labelled.is_shown_by(square)
    ]
    faces, points_px, persons = zip(*found, strict=True)
    return np.array(faces), np.array(points_px, np.float64), np.array(persons)


def without_offsets(errors_px: Pixels, persons: Persons) -> Pixels:
    """Errors less the mean error of every point on photos of other people, shape (photos, points, 2).

    A point that was not found is NaN and stays it.
    """
    means_px = {person: np.nanmean(errors_px[persons != person], axis=0) for person in np.unique(persons)}
    return errors_px - np.stack([means_px[person] for person in persons])


def _positions(name: str, schema: Schema) -> list[int]:
    contour = name.removesuffix("center") if name.endswith("_eye_center") else None
    return [
        position
        for position, other in enumerate(schema.names)
        if other == name or (contour and other.startswith(contour))
    ]
