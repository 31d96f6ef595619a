"""The faces of one picture after another, each followed and its points kept steady."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fkd.data.crops import Boxes
from fkd.data.face_finder import find_faces_in_photo
from fkd.data.photos import Photo
from fkd.deploy.photos import FacePoints, predict_squares
from fkd.ensemble.ensemble import Ensemble

Floats = npt.NDArray[np.float64]

# Faces are searched for this often; between, each is looked for where it was last.
_SEARCH_EVERY_S = 0.4
# A face is given up after so long without one that is likely to be a face, or that no search has found again.
_PATIENCE_S, _LOST_S = 0.5, 1.5
# A square that is found anew within this part of its side stays where it was, or the points would tremble.
_STILL_PART = 0.04
_SAME_FACE_OVERLAP = 0.3


class SteadyPoints:
    """The One Euro filter (Casiez, Roussel and Vogel 2012): still points are smoothed, fast ones hardly.

    Speeds are in face sides a second, so that a face near the camera is filtered as one far away. At rest the
    points are averaged over about a third of a second; a point that crosses its face within a second is
    followed without a lag to be seen.
    """

    _STILL_HZ, _HZ_PER_SPEED, _SPEED_HZ = 0.5, 60.0, 1.0

    def __init__(self) -> None:
        self._points_px: Floats | None = None
        self._speeds: Floats | None = None

    def __call__(self, points_px: Floats, side_px: float, frames_per_s: float) -> Floats:
        """The points of the next frame, shape (points, 2), made steady; NaN stays NaN."""
        if self._points_px is None or self._speeds is None:
            self._points_px, self._speeds = points_px, np.zeros_like(points_px)
            return points_px
        speeds = (points_px - self._points_px) * frames_per_s / side_px
        self._speeds = self._speeds + _share(self._SPEED_HZ, frames_per_s) * (speeds - self._speeds)
        share = _share(self._STILL_HZ + self._HZ_PER_SPEED * np.abs(self._speeds), frames_per_s)
        self._points_px = self._points_px + share * (points_px - self._points_px)
        return self._points_px


@dataclass
class _Track:
    """A face that is followed through a film."""

    number: int
    square: npt.NDArray[np.int64]
    found_in_frame: int
    doubtful_frames: int = 0
    steady: SteadyPoints = field(default_factory=SteadyPoints)


@dataclass
class FaceFollower:
    """The faces of a film, frame after frame, each with the number that it had first.

    frames_per_s: of a film; a camera's may be told anew before every frame. yunet: a model file in the place
    of the Haar cascade.
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
            points_px = track.steady(face.points_px, face.square.side_px, self.frames_per_s)
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
                self._tracks.append(_Track(self._numbers, square, self._frame))


def _share(cutoff_hz: float | Floats, frames_per_s: float) -> float | Floats:
    """How much of a new value counts in a low-pass filter of this cut-off frequency."""
    turns = 2 * np.pi * cutoff_hz / frames_per_s
    return turns / (1 + turns)


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
