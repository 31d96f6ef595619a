"""The points of the faces in whole photos: as pictures, as JSON and as CSV."""

import io
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fkd.core.errors import UserError
from fkd.core.files import atomic_write_bytes, atomic_write_json
from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.core.say import Say
from fkd.data.crops import Boxes, from_crops
from fkd.data.face_finder import FIVE_POINTS, find_faces_in_photo, frame_anew
from fkd.data.labelled_photos import Square, cut_out
from fkd.data.photos import PHOTO_SUFFIXES, Photo, read_photo
from fkd.deploy.photo_drawing import draw_points, encode_picture
from fkd.ensemble.ensemble import Ensemble

Floats = npt.NDArray[np.float64]

COORDINATES = (
    "Pixels of the photo as displayed, that is, turned as its EXIF data say. x grows to the right, y down; "
    "(0, 0) is the centre of the top left pixel. A square is what the networks saw of a face, by the column "
    "and row of its first pixel and its side; it may reach beyond the photo. spread_px is the standard "
    "deviation of the members' points: the root of the summed variances of x and y. Within radius_px of a "
    "point lies its true place in as many cases as coverage says, for faces like those of the validation. A "
    "face with large radii at most points is probably none."
)
_COLUMNS = (
    "photo",
    "face",
    "left_px",
    "top_px",
    "side_px",
    "point",
    "x_px",
    "y_px",
    "spread_px",
    "radius_px",
)
_DECIMALS = 3
_JPEG_SUFFIXES = (".jpg", ".jpeg")  # of other photos the pictures are PNG
_LONGEST_JPEG_PX = 65_500  # libjpeg writes no more
FILM_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"})
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode's categories: control, half a pair, ends of lines


@dataclass(frozen=True)
class FacePoints:
    """A face's points in pixels of the photo as displayed, pixel centres at whole numbers.

    square: what the networks saw; it may reach beyond the photo. points_px: shape (points, 2) in schema
    order, NaN where no specialist predicts. spread_px: shape (points,), the standard deviation over the
    members, the root of the summed variances of x and y. radius_px: shape (points,), holds the truth in
    `prediction.coverage` of cases; NaN where that is not known. doubtful: most radii are large: it is
    probably no face.
    """

    square: Square
    points_px: Floats
    spread_px: Floats
    radius_px: Floats
    doubtful: bool


def predict_photo(ensemble: Ensemble, photo: Photo, yunet: Path | None = None) -> list[FacePoints]:
    """The faces of a photo from left to right, with their points.

    yunet: a model file in the place of the Haar cascade. Raises UserError for a detector that cannot be read.
    """
    return predict_squares(ensemble, photo, find_faces_in_photo(photo.grey, yunet))


def predict_squares(ensemble: Ensemble, photo: Photo, squares: Boxes) -> list[FacePoints]:
    """The points of the faces in about these squares of a photo.

    Where five points tell how a face is framed, it is looked at twice: what is found at first frames it anew.
    """
    points_px, spreads_px = _predict_cuts(ensemble, photo, squares)
    names = ensemble.experiment.schema_points.names
    if set(FIVE_POINTS) <= set(names):
        five_px = from_crops(points_px[:, [names.index(name) for name in FIVE_POINTS]], squares)
        squares = frame_anew(squares, five_px)
        points_px, spreads_px = _predict_cuts(ensemble, photo, squares)
    scales = squares[:, 2:] / IMAGE_SIZE_PX
    parts = (
        from_crops(points_px, squares),
        spreads_px * scales,
        ensemble.radii_px(spreads_px) * scales,
        ensemble.are_doubtful(spreads_px).tolist(),
    )
    return [
        FacePoints(Square(*square), *part) for square, *part in zip(squares.tolist(), *parts, strict=True)
    ]


def _predict_cuts(ensemble: Ensemble, photo: Photo, squares: Boxes) -> tuple[Floats, Floats]:
    """What `Ensemble.predict` gives for the faces in these squares of a photo."""
    cuts = [cut_out(photo.grey, np.empty((0, 2)), Square(*square))[0] for square in squares.tolist()]
    return ensemble.predict(np.array(cuts, np.uint8).reshape(-1, IMAGE_SIZE_PX, IMAGE_SIZE_PX))


def draw_on_photo(photo: Photo, faces: Sequence[FacePoints]) -> npt.NDArray[np.uint8]:
    """The photo with its faces' squares, points and radii as RGB, shape (height, width, 3).

    Small faces are enlarged.
    """
    squares = np.array([face.square for face in faces], np.int64).reshape(-1, 3)
    points = [np.column_stack([face.points_px, face.radius_px]) for face in faces]
    return draw_points(photo, squares, points, [face.doubtful for face in faces])


def count_faces(faces: Sequence[FacePoints]) -> str:
    """How many there are in words, and how many of them are probably none."""
    doubtful = sum(face.doubtful for face in faces)
    return f"{len(faces)} face{'s' * (len(faces) != 1)}" + (
        f" ({doubtful} probably none)" if doubtful else ""
    )


def list_photos(paths: Sequence[Path], output: Path) -> tuple[list[Path], list[Path]]:
    """The photos and the films in the order given, each once; a folder stands for its visible ones, by name.

    A folder without any is listed as a photo, for `predict_photos` to report. Raises UserError for a folder
    that is also `output`: the next call would take its pictures for photos.
    """
    listed: list[Path] = []
    for path in paths:
        found = _pictures_in(path)
        if found and place(path) == place(output):
            raise UserError(
                f"--output {output}: expected another folder than that of the photos, received the same; "
                "name a new one"
            )
        listed += found or [path]
    films = [path for path in dict.fromkeys(listed) if path.suffix.lower() in FILM_SUFFIXES]
    return [path for path in dict.fromkeys(listed) if path not in films], films


def predict_photos(
    ensemble: Ensemble,
    photos: Sequence[Path],
    output: Path,
    say: Say,
    yunet: Path | None = None,
) -> int:
    """Write a picture for every photo with faces, and points.json and points.csv for all, into `output`.

    A photo that cannot be read is reported in one line and listed in the JSON under `unreadable`. A picture
    that cannot be written is reported too, and its points stay. The others are done; returns how many photos
    failed. No picture replaces another one of the same call, nor a photo.
    Raises UserError for a detector that cannot be read, for a folder that cannot be written, and where no
    photo can be read: then what an earlier call wrote stays.
    """
    results = _Results(ensemble.experiment.schema_points.names)
    taken = {place(path) for path in photos}
    failed = 0
    for path in photos:
        try:
            photo = read_photo(path)
        except UserError as error:
            failed += 1
            say(printable(error))
            results.unreadable.append({"photo": printable(path), "problem": printable(error)})
            continue
        make_folder(output)
        faces = predict_photo(ensemble, photo, yunet)
        picture = free_path(output, path.stem, _picture_suffix(path, photo), taken) if faces else None
        try:
            if picture:
                atomic_write_bytes(picture, encode_picture(draw_on_photo(photo, faces), picture.suffix))
        except UserError as error:  # such as a name that is too long: the points are not to be lost with it
            failed += 1
            say(printable(error))
            picture = None
        found = f"{count_faces(faces)}, {picture or 'no picture'}"
        say(printable(f"{path}: {found if faces else 'no face found'}"))
        results.add(path, photo, faces, picture)
    if not results.photos:
        raise UserError(
            f"{output}: no points of photos were written, as none could be read; "
            "correct what is reported above"
        )
    head = {
        "run": str(ensemble.run.path),
        "members": ensemble.chosen,
        "coverage": ensemble.radii and ensemble.radii.coverage,
        "coordinates": COORDINATES,
    }
    atomic_write_json(
        output / "points.json", head | {"photos": results.photos, "unreadable": results.unreadable}
    )
    atomic_write_bytes(output / "points.csv", results.csv())
    say(f"{output / 'points.json'}, {output / 'points.csv'}: written")
    return failed


@dataclass(frozen=True)
class _Results:
    """What becomes the JSON and the CSV of all photos; points that no specialist predicts are left out."""

    names: tuple[str, ...]
    photos: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[dict[str, str]] = field(default_factory=list)

    def add(self, path: Path, photo: Photo, faces: Sequence[FacePoints], picture: Path | None) -> None:
        height, width = photo.grey.shape
        self.photos.append(
            {
                "photo": printable(path),
                "width_px": width,
                "height_px": height,
                "picture": printable(picture.name) if picture else None,
                "faces": [
                    {
                        "face": number,
                        **face.square._asdict(),
                        "probably_no_face": face.doubtful,
                        "points": self._points(face),
                    }
                    for number, face in enumerate(faces, start=1)
                ],
            }
        )

    def csv(self) -> bytes:
        rows = [
            (photo["photo"], *(face[column] for column in _COLUMNS[1:5]), *point.values())
            for photo in self.photos
            for face in photo["faces"]
            for point in face["points"]
        ]
        text = io.StringIO()
        pd.DataFrame(rows, columns=_COLUMNS).to_csv(text, index=False, lineterminator="\n")
        return text.getvalue().encode()

    def _points(self, face: FacePoints) -> list[dict[str, Any]]:
        values = np.column_stack([face.points_px, face.spread_px, face.radius_px]).round(_DECIMALS).tolist()
        return [
            dict(zip(_COLUMNS[5:], (name, x, y, spread, None if np.isnan(radius) else radius), strict=True))
            for name, (x, y, spread, radius) in zip(self.names, values, strict=True)
            if not np.isnan((x, y, spread)).any()
        ]


def _pictures_in(folder: Path) -> list[Path]:
    """The visible photos and films by suffix, by name; none of what is no folder that can be listed."""
    suffixes = PHOTO_SUFFIXES | FILM_SUFFIXES
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in suffixes and not path.name.startswith(".") and not path.is_dir()
        )
    except OSError:
        return []


def make_folder(folder: Path) -> None:
    """Make a folder for results; raises UserError where it cannot be made or written."""
    problem = "one without the right to write"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        problem, writable = f"one that cannot be made ({error.strerror})", False
    if not writable:
        raise UserError(
            f"--output {folder}: expected a folder for the results, received {problem}; name another"
        )


def free_path(folder: Path, stem: str, suffix: str, taken: set[str]) -> Path:
    """`<stem>-points<suffix>`, or `<stem>-2-points<suffix>` and so on; the choice is added to `taken`."""
    for number in count(1):
        path = folder / f"{stem}{f'-{number}' if number > 1 else ''}-points{suffix}"
        if place(path) not in taken:
            break
    taken.add(place(path))
    return path


def _picture_suffix(path: Path, photo: Photo) -> str:
    jpeg = path.suffix.lower() in _JPEG_SUFFIXES and max(photo.grey.shape) <= _LONGEST_JPEG_PX
    return ".jpg" if jpeg else ".png"


def place(path: Path) -> str:
    """Where a path leads; the same for two names of one file."""
    # Some file systems take a.jpg and A.jpg for one name. Path.resolve refuses links that lead in circles.
    return os.path.realpath(path).lower()


def printable(text: object) -> str:
    """Text on one line: file names may hold its breaks, orders to a terminal, bytes that are no UTF-8."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNPRINTABLE
        else character
        for character in str(text)
    )
