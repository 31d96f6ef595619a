"""The points of the faces in films: each film again with its points drawn, and a CSV by frame."""

import csv
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.files import atomic_path
from fkd.core.interrupt import InterruptedTrainingError, StopRequest, stop_on_signals
from fkd.core.say import Say
from fkd.data.crops import Boxes
from fkd.data.face_finder import find_faces_in_photo
from fkd.data.photos import Photo
from fkd.deploy.photo_drawing import draw_points
from fkd.deploy.photos import FacePoints, free_path, make_folder, place, predict_squares, printable
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
_WHOLE_PART = 0.9  # how many frames there are is an estimate
_DECIMALS = 3


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

    A film that cannot be read, or whose results cannot be written, is reported in one line; returns how many
    those are. No film replaces another one of the same call. Raises UserError for a folder that cannot be
    written, InterruptedTrainingError when a stop is asked for: of the film in hand nothing is left.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its notes on damage are of no use here
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    taken, failed = {place(film) for film in films}, 0
    for film in films:
        try:
            with _opened(film) as reader, stop_on_signals() as stop:
                make_folder(output)
                _check_name(output)
                drawn = free_path(output, film.stem, ".mp4", taken)
                table = drawn.with_suffix(".csv")
                with atomic_path(table) as rows, atomic_path(drawn) as pictures:
                    done = _predict_frames(ensemble, film, reader, pictures, rows, say, stop, yunet)
                    _check_whole(drawn, pictures, done)
        except UserError as error:
            failed += 1
            say(printable(error))
        else:
            torn = done < _WHOLE_PART * reader.frames
            missing = f" (of {reader.frames:,}: the rest cannot be read)" if torn else ""
            say(printable(f"{film}: {done:,} frame{'s' * (done != 1)}{missing}, {drawn}, {table}"))
    return failed


def _predict_frames(
    ensemble: Ensemble,
    film: Path,
    reader: "_Film",
    pictures: Path,
    rows: Path,
    say: Say,
    stop: StopRequest,
    yunet: Path | None,
) -> int:
    """Write the film and the CSV, telling every few seconds how far they are; returns the frames."""
    frames_per_s, frames = reader.frames_per_s, reader.frames
    names = ensemble.experiment.schema_points.names
    follow, began_s = FaceFollower(ensemble, frames_per_s, yunet), time.monotonic()
    told_s, done = began_s, 0
    with (
        rows.open("w", newline="", encoding="utf-8") as text,
        closing(_Writer(pictures, str(film), frames_per_s)) as writer,
    ):
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(COLUMNS)
        for photo in reader:
            if stop.reason:
                raise InterruptedTrainingError(f"{stop.reason}: {printable(film)}: nothing was written")
            faces = follow(photo)
            writer.write(photo, faces)
            lines.writerows(_rows(names, done, frames_per_s, faces))
            done += 1
            if time.monotonic() - told_s >= _REPORT_EVERY_S:
                told_s = time.monotonic()
                left_s = max(0.0, (told_s - began_s) * (frames - done) / done)
                say(printable(f"{film}: frame {done:,} of {frames:,}, {left_s:.0f} s left"))
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

    def __init__(self, path: Path, name: str, frames_per_s: float) -> None:
        self._path, self._name, self._frames_per_s = path, name, frames_per_s
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
            if not self._film.isOpened():
                raise UserError(
                    f"{self._name}: expected frames that MPEG-4 can hold, received {size[0]} x {size[1]} "
                    "pixels; shrink the film"
                )
        self._film.write(np.ascontiguousarray(picture[..., ::-1]))

    def close(self) -> None:
        """End the file; without a frame there is none."""
        if self._film is not None:
            self._film.release()


class _Film:
    """The frames of a film; the first one has been read, as some films cannot be wound back."""

    def __init__(self, reader: cv2.VideoCapture, first: npt.NDArray[np.uint8]) -> None:
        self._reader, self._first = reader, first
        self.frames_per_s = reader.get(cv2.CAP_PROP_FPS) or _USUAL_FRAMES_PER_S
        self.frames = int(reader.get(cv2.CAP_PROP_FRAME_COUNT))

    def __iter__(self) -> Iterator[Photo]:
        there, bgr = True, np.asarray(self._first)
        while there:
            grey = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)
            yield Photo(np.ascontiguousarray(bgr[..., ::-1], np.uint8), grey)
            there, following = self._reader.read()
            bgr = np.asarray(following)


@contextmanager
def _opened(film: Path) -> Iterator[_Film]:
    _check_name(film)
    if not film.is_file():
        received = "a folder, a pipe or a link to nothing" if os.path.lexists(film) else "no such file"
        raise UserError(f"{film}: expected a film, received {received}; correct the path")
    reader = cv2.VideoCapture(str(film))
    try:
        there, first = reader.read()
        if not there:
            raise UserError(
                f"{film}: expected a film, received one that OpenCV cannot read; convert it to MP4 (H.264)"
            )
        yield _Film(reader, np.asarray(first, np.uint8))
    finally:
        reader.release()


def _check_name(path: Path) -> None:
    """OpenCV ends the process at a name that is no UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path}: expected a name in UTF-8, received other bytes; rename it") from error


def _check_whole(drawn: Path, pictures: Path, done: int) -> None:
    """OpenCV does not tell of frames that it could not write, as on a full disk."""
    reader = cv2.VideoCapture(str(pictures))
    written = int(reader.get(cv2.CAP_PROP_FRAME_COUNT)) if reader.isOpened() else 0
    reader.release()
    if written != done:
        raise UserError(
            f"{drawn}: expected {done:,} frames to be written, found {written:,}; make room on the disk and "
            "try again"
        )


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
