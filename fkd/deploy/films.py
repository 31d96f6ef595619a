"""The points of the faces in films: each film again with its points drawn, and a CSV by frame."""

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.files import atomic_path
from fkd.core.interrupt import InterruptedTrainingError, StopRequest, stop_on_signals
from fkd.core.say import Say, TimeLeft
from fkd.data.photos import Photo
from fkd.deploy.face_follower import FaceFollower
from fkd.deploy.photo_drawing import draw_points
from fkd.deploy.photos import FacePoints, free_path, make_folder, place, printable
from fkd.ensemble.ensemble import Ensemble

COLUMNS = ("frame", "second", "face", "point", "x_px", "y_px", "radius_px")

_USUAL_FRAMES_PER_S = 25.0  # of a film that does not tell
_WHOLE_PART = 0.9  # how many frames there are is an estimate
_DECIMALS = 3


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
    follow, done = FaceFollower(ensemble, frames_per_s, yunet), 0
    tell = TimeLeft(frames, lambda done: printable(f"{film}: frame {done:,} of {frames:,}"), say)
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
            tell(done)
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
