"""Whole photos of other databases with the competition's 15 points."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from experiments.bench.conditions import WILD15
from fkd.core.errors import UserError
from fkd.core.keypoints import IBUG68, IMM73, KAGGLE15, Schema
from fkd.data.crops import from_crops
from fkd.data.face_finder import find_faces_in_photo
from fkd.data.labelled_photos import Square, cut_out, find_asf_files
from fkd.data.photos import Photo, read_photo
from fkd.data.source import load_data

Pixels = npt.NDArray[np.float64]
Persons = npt.NDArray[np.int64]

IMM, IBUG = WILD15.parent / "imm", WILD15.parent / "ibug68"
# Labels are rounded to some 1e-4 of a face; two faces differ by some 1e-1.
_SAME = 5e-3


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo of a face. points_px: shape (15, 2), in its pixels. person: who it shows, or its number."""

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
    """The studio photos of the IMM database, on which no experiment trains; raises UserError without them."""
    _require(folder)
    data = load_data(str(folder), lambda line: None)
    files = [path for path in find_asf_files(folder).values() if path.suffix != ".asf"]
    photos = [read_photo(path) for path in files]
    # fkd reads a face as its photo's centre square of full height.
    shapes = [photo.grey.shape for photo in photos]
    squares = np.array([((width - height) // 2, 0, height) for height, width in shapes])
    points_px = as_kaggle15(from_crops(data.training.keypoints, squares), IMM73)
    assert data.groups is not None  # every file's name begins with the person
    return [LabelledPhoto(*each) for each in zip(photos, points_px, data.groups.tolist(), strict=True)]


def ibug_photos(folder: Path = IBUG) -> list[LabelledPhoto]:
    """Every labelled face of the photos of `ibug68`, many of which trained; raises UserError without them."""
    _require(folder)
    [labels] = folder.glob("*.xml")
    faces = []
    for number, image in enumerate(ElementTree.parse(labels).iterfind("images/image")):
        for box in image.iterfind("box"):
            parts = sorted(box.iterfind("part"), key=lambda part: part.get("name", ""))
            points_px = np.array([[float(part.get(axis, "nan")) for axis in "xy"] for part in parts])
            photo = read_photo(folder / image.get("file", ""))
            faces.append(LabelledPhoto(photo, as_kaggle15(points_px[None], IBUG68)[0], number))
    return faces


def same_shapes(points_px: Pixels, others_px: Pixels) -> npt.NDArray[np.intp]:
    """Which of other faces has the same points but for place and size, -1 for none; shape (n,).

    Source A has the labels of `ibug68`, so these tell which of its photos trained. Both: (faces, points, 2).
    """
    shapes, others = _shape(points_px), _shape(others_px)
    distances = np.sqrt(((shapes[:, None] - others) ** 2).sum(axis=2))
    return np.where(distances.min(axis=1) < _SAME, distances.argmin(axis=1), -1)


def _shape(points_px: Pixels) -> Pixels:
    centred = points_px - points_px.mean(axis=1, keepdims=True)
    return (centred / np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))).reshape(len(points_px), -1)


def _require(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: expected labelled photos, found no such folder")


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
