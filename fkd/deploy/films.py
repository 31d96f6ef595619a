"""The points of the faces in films: each film again with its points drawn, and a CSV by frame."""

import csv
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.files import atomic_path
from fkd.core.interrupt import InterruptedTrainingError, StopRequest, stop_on_signals
from fkd.core.say import Say
from fkd.data.crops import Boxes
from fkd.data.face_finder import find_faces_in_photo
from fkd.data.photos import Photo
from fkd.deploy.photo_drawing import draw_points
from fkd.deploy.photos import FacePoints, make_folder, predict_squares
from fkd.ensemble.ensemble import Ensemble

Floats = npt.NDArray[np.float64]

COLUMNS = ("frame", "second", "face", "point", "x_px", "y_px", "radius_px")

# Faces are searched for this often; between, each is looked for where it was last.
_SEARCH_EVERY_S = 0.4
# A face is given up after so long without one that is likely to be a face, or that no search has found again.
_PATIENCE_S, _LOST_S = 0.5, 1.5
# A square that is found anew within this part of its side stays where it was, or the points would tremble.
_STILL_PART = 0.04
_SAME_FACE_OVERLAP = 0.3
_REPORT_EVERY_S = 10.0
_USUAL_FRAMES_PER_S = 25.0  # of a film that does not tell
_DECIMALS = 3


class _NoFilmError(Exception):
    """What was named is no film that can be read."""


class SteadyPoints:
    """The One Euro filter (Casiez, Roussel and Vogel 2012): still points are smoothed, fast ones hardly.

    Speeds are in face sides a second, so that a face near the camera is filtered as one far away. At rest the
    points are averaged over about a third of a second; a point that crosses its face within a second is
    followed without a lag to be seen. frames_per_s: of the film.
    """

    _STILL_HZ, _HZ_PER_SPEED, _SPEED_HZ = 0.5, 60.0, 1.0

    def __init__(self, frames_per_s: float) -> None:
        self._frames_per_s = frames_per_s
        self._points_px: Floats | None = None
        self._speeds: Floats | None = None

    def __call__(self, points_px: Floats, side_px: float) -> Floats:
        """The points of the next frame, shape (points, 2), made steady; NaN stays NaN."""
        if self._points_px is None or self._speeds is None:
            self._points_px, self._speeds = points_px, np.zeros_like(points_px)
            return points_px
        speeds = (points_px - self._points_px) * self._frames_per_s / side_px
        self._speeds = self._speeds + self._share(self._SPEED_HZ) * (speeds - self._speeds)
        share = self._share(self._STILL_HZ + self._HZ_PER_SPEED * np.abs(self._speeds))
        self._points_px = self._points_px + share * (points_px - self._points_px)
        return self._points_px

    def _share(self, cutoff_hz: float | Floats) -> float | Floats:
        """How much of a new value counts in a low-pass filter of this cut-off frequency."""
        turns = 2 * np.pi * cutoff_hz / self._frames_per_s
        return turns / (1 + turns)


@dataclass
class _Track:
    """A face that is followed through a film."""

    number: int
    square: npt.NDArray[np.int64]
    steady: SteadyPoints
    found_in_frame: int
    doubtful_frames: int = 0


@dataclass
class FaceFollower:
    """The faces of a film, frame after frame, each with the number that it had first.

    yunet: a model file in the place of the Haar cascade.
    """

    ensemble: Ensemble
    frames_per_s: float
    yunet: Path | None = None
    _tracks: list[_Track] = field(default_factory=list)
    _frame: int = 0
    _numbers: int = 0

    def __call__(self, photo: Photo) -> dict[int, FacePoints]:
        """The steady points of the next frame's faces by number; a new face may be missed for a moment."""
        if self._frame % max(1, round(_SEARCH_EVERY_S * self.frames_per_s)) == 0:
            self._begin(find_faces_in_photo(photo.grey, self.yunet))
        self._frame += 1
        squares = np.array([track.square for track in self._tracks], np.int64).reshape(-1, 3)
        faces = predict_squares(self.ensemble, photo, squares)
        shown = {}
        for track, face in zip(list(self._tracks), faces, strict=True):
            track.doubtful_frames = track.doubtful_frames + 1 if face.doubtful else 0
            lost = self._frame - track.found_in_frame > _LOST_S * self.frames_per_s
            doubted = track.doubtful_frames > _PATIENCE_S * self.frames_per_s
            if lost or doubted or not _inside(face, photo):
                self._tracks.remove(track)
                continue
            if _has_moved(track.square, np.array(face.square)):
                track.square = np.array(face.square)
            points_px = track.steady(face.points_px, face.square.side_px)
            shown[track.number] = replace(face, points_px=points_px)
        return shown

    def _begin(self, squares: Boxes) -> None:
        """Follow the faces in those squares in which none is followed yet; note which are found again."""
        for square in squares:
            same = [track for track in self._tracks if _overlap(square, track.square) > _SAME_FACE_OVERLAP]
            for track in same:
                track.found_in_frame = self._frame
            if not same:
                self._numbers += 1
                steady = SteadyPoints(self.frames_per_s)
                self._tracks.append(_Track(self._numbers, square, steady, self._frame))


def predict_films(
    ensemble: Ensemble, films: Sequence[Path], output: Path, say: Say, yunet: Path | None = None
) -> int:
    """Write `<stem>-points.mp4` and `<stem>-points.csv` for every film into `output`.

    A film that cannot be read is reported in one line; returns how many those are. Raises UserError where
    nothing can be written, InterruptedTrainingError when a stop is asked for: of the film in hand nothing is
    left.
    """
    failed = 0
    for film in films:
        try:
            with _opened(film) as reader, stop_on_signals() as stop:
                make_folder(output)
                drawn, table = (output / f"{film.stem}-points{suffix}" for suffix in (".mp4", ".csv"))
                with atomic_path(table) as rows, atomic_path(drawn) as pictures:
                    frames = _predict_frames(ensemble, film, reader, pictures, rows, say, stop, yunet)
        except _NoFilmError as error:
            failed += 1
            say(str(error))
        else:
            say(f"{film}: {frames:,} frames, {drawn}, {table}")
    return failed


def _predict_frames(
    ensemble: Ensemble,
    film: Path,
    reader: cv2.VideoCapture,
    pictures: Path,
    rows: Path,
    say: Say,
    stop: StopRequest,
    yunet: Path | None,
) -> int:
    """Write the film and the CSV, telling every few seconds how far they are; returns the frames."""
    frames_per_s = reader.get(cv2.CAP_PROP_FPS) or _USUAL_FRAMES_PER_S
    frames, names = int(reader.get(cv2.CAP_PROP_FRAME_COUNT)), ensemble.experiment.schema_points.names
    follow, began_s = FaceFollower(ensemble, frames_per_s, yunet), time.monotonic()
    told_s, done = began_s, 0
    with (
        rows.open("w", newline="", encoding="utf-8") as text,
        closing(_Writer(pictures, frames_per_s)) as writer,
    ):
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(COLUMNS)
        for photo in _frames(reader):
            if stop.reason:
                raise InterruptedTrainingError(f"{stop.reason}: {film}: nothing was written")
            faces = follow(photo)
            writer.write(photo, faces)
            lines.writerows(_rows(names, done, frames_per_s, faces))
            done += 1
            if time.monotonic() - told_s >= _REPORT_EVERY_S:
                told_s = time.monotonic()
                left_s = max(0.0, (told_s - began_s) * (frames - done) / done)
                say(f"{film}: frame {done:,} of {frames:,}, {left_s:.0f} s left")
    return done


def _rows(
    names: tuple[str, ...], frame: int, frames_per_s: float, faces: dict[int, FacePoints]
) -> Iterator[tuple[object, ...]]:
    for number, face in faces.items():
        for name, (x, y), radius in zip(names, face.points_px.tolist(), face.radius_px.tolist(), strict=True):
            if not np.isnan((x, y)).any():
                values = (round(value, _DECIMALS) for value in (x, y, radius))
                yield frame, round(frame / frames_per_s, _DECIMALS), number, name, *values


class _Writer:
    """A film with the points of its faces drawn on it; the first frame gives its size."""

    def __init__(self, path: Path, frames_per_s: float) -> None:
        self._path, self._frames_per_s = path, frames_per_s
        self._film: cv2.VideoWriter | None = None

    def write(self, photo: Photo, faces: dict[int, FacePoints]) -> None:
        squares = np.array([face.square for face in faces.values()], np.int64).reshape(-1, 3)
        points = [np.column_stack([face.points_px, face.radius_px]) for face in faces.values()]
        picture = draw_points(
            photo, squares, points, [face.doubtful for face in faces.values()], enlarge=False
        )
        if self._film is None:
            code, size = cv2.VideoWriter.fourcc(*"mp4v"), (picture.shape[1], picture.shape[0])
            self._film = cv2.VideoWriter(str(self._path), code, self._frames_per_s, size)
        self._film.write(np.ascontiguousarray(picture[..., ::-1]))

    def close(self) -> None:
        """End the file; without a frame there is none."""
        if self._film is not None:
            self._film.release()


@contextmanager
def _opened(film: Path) -> Iterator[cv2.VideoCapture]:
    reader = cv2.VideoCapture(str(film)) if film.is_file() else None
    try:
        if reader is None or not reader.isOpened() or not reader.grab():
            received = "one that OpenCV cannot read" if film.is_file() else "no such file"
            raise _NoFilmError(f"{film}: expected a film, received {received}; convert it to MP4 (H.264)")
        reader.set(cv2.CAP_PROP_POS_FRAMES, 0)
        yield reader
    finally:
        if reader is not None:
            reader.release()


def _frames(reader: cv2.VideoCapture) -> Iterator[Photo]:
    while True:
        there, bgr = reader.read()
        if not there:
            return
        grey = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        yield Photo(np.ascontiguousarray(bgr[..., ::-1], np.uint8), grey)


def _inside(face: FacePoints, photo: Photo) -> bool:
    """Whether the middle of a face's square lies in the picture."""
    height, width = photo.grey.shape
    middle_x, middle_y = (corner + face.square.side_px / 2 for corner in face.square[:2])
    return 0 <= middle_x < width and 0 <= middle_y < height


def _has_moved(former: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> bool:
    return bool(np.abs(found - former).max() > _STILL_PART * former[2])


def _overlap(square: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    """The share of their union that two squares (left, top, side) have in common."""
    sides = np.minimum(square[:2] + square[2], other[:2] + other[2]) - np.maximum(square[:2], other[:2])
    common = float(np.prod(np.maximum(0, sides)))
    return common / (float(square[2]) ** 2 + float(other[2]) ** 2 - common)
