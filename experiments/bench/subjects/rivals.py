"""What other packages make of faces; they run in an environment of their own."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.bench.conditions import REPOSITORY
from experiments.bench.subjects.face_sets import (
    FaceSet,
    are_found,
    root_mean_square,
    without_kinds_offsets,
)
from experiments.bench.subjects.labelled_photos import as_kaggle15
from fkd.core.errors import UserError
from fkd.core.keypoints import IBUG68, KAGGLE15

PYTHON = REPOSITORY / ".venv/rivals/bin/python"
# A way to show faces in which so many fewer are found than in the best is not taken.
_FEWER_FOUND = 0.01
_SCRIPT = Path(__file__).with_name("rival_process.py")

Framing = Mapping[str, float]
Pixels = npt.NDArray[np.float64]

# MediaPipe's points that may be meant by one of the competition's. An eye is the mean of its contour.
_RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
_LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
_MESH: Mapping[str, Sequence[tuple[int, ...]]] = {
    "left_eye_center": [_LEFT_EYE],
    "right_eye_center": [_RIGHT_EYE],
    "left_eye_inner_corner": [(362,)],
    "left_eye_outer_corner": [(263,)],
    "right_eye_inner_corner": [(133,)],
    "right_eye_outer_corner": [(33,)],
    "left_eyebrow_inner_end": [(336,), (285,), (336, 285)],
    "left_eyebrow_outer_end": [(300,), (276,), (300, 276)],
    "right_eyebrow_inner_end": [(107,), (55,), (107, 55)],
    "right_eyebrow_outer_end": [(70,), (46,), (70, 46)],
    "nose_tip": [(1,), (4,), (1, 4)],
    "mouth_left_corner": [(291,), (308,)],
    "mouth_right_corner": [(61,), (78,)],
    "mouth_center_top_lip": [(0,), (13,)],
    "mouth_center_bottom_lip": [(17,), (14,)],
}


@dataclass(frozen=True)
class Rival:
    """Another package. system: its name in `rival_process.py`. framings: ways to show it a face."""

    name: str
    system: str
    framings: Sequence[Framing]


_BOXES = [{"side_px": side, "down_px": down} for side in (64, 72, 80, 88) for down in (-4, 0, 4, 8)]
_BORDERS = [{"border_px": border, "size_px": size} for border in (0, 12, 24, 48) for size in (192, 384)]
RIVALS = (
    Rival("dlib, 68 points", "dlib", _BOXES),
    Rival("MediaPipe, task v2", "mediapipe task", _BORDERS),
    Rival("MediaPipe, attention mesh", "mediapipe attention mesh", _BORDERS),
)


def rival_points(
    rival: Rival, framings: Sequence[Framing], pictures: Sequence[npt.NDArray[np.uint8]]
) -> tuple[Pixels, Pixels]:
    """The package's own points, shape (framings, n, faces, points, 2), and milliseconds (framings, n).

    framings: an empty one stands for whole photos. pictures: grey. Points are NaN where no more faces are
    found. On one core, one picture at a time. Raises UserError where the packages are not installed.
    """
    if not PYTHON.is_file():
        raise UserError(f"{PYTHON}: expected the other packages, found none; run make bench TOPICS=rivals")
    with tempfile.TemporaryDirectory() as folder:
        shown, found = Path(folder) / "pictures.npz", Path(folder) / "points.npz"
        np.savez(shown, *pictures)
        call = [PYTHON, _SCRIPT, rival.system, json.dumps(list(framings)), shown, found]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{rival.name}: {done.stderr[-2000:]}")
        with np.load(found) as arrays:
            return arrays["points_px"], arrays["milliseconds"]


@dataclass(frozen=True)
class FittedRival:
    """A package, with the way to show it a face and the points that are meant: places among `candidates`."""

    rival: Rival
    framing: Framing
    meanings: Mapping[str, int]

    def on_faces(self, faces: npt.NDArray[np.uint8]) -> tuple[Pixels, Pixels]:
        """The competition's points, shape (n, 15, 2), NaN where no face is found, and milliseconds (n,)."""
        points_px, milliseconds = rival_points(self.rival, [self.framing], list(faces))
        return self._meant(points_px[0, :, 0]), milliseconds[0]

    def on_photos(self, photos: Sequence[npt.NDArray[np.uint8]]) -> tuple[list[Pixels], Pixels]:
        """The points of every photo's faces, shape (faces, 15, 2) each, and milliseconds (n,)."""
        points_px, milliseconds = rival_points(self.rival, [{}], photos)
        return [self._meant(faces[are_found(faces)]) for faces in points_px[0]], milliseconds[0]

    def _meant(self, points_px: Pixels) -> Pixels:
        found = candidates(self.rival, points_px)
        return np.stack([found[name][place] for name, place in self.meanings.items()], axis=1)


def fit_rival(rival: Rival, training: FaceSet) -> FittedRival:
    """The way to show faces, and the points, that agree best with the labels of faces but for constants."""
    by_framing_px = rival_points(rival, rival.framings, list(training.faces))[0][:, :, 0]
    found = [are_found(points_px).mean() for points_px in by_framing_px]
    fitted = [
        (*choose_points(candidates(rival, points_px), training), framing)
        for points_px, share, framing in zip(by_framing_px, found, rival.framings, strict=True)
        if share >= max(found) - _FEWER_FOUND
    ]
    meanings, _, framing = min(fitted, key=lambda choice: choice[1])
    print(f"{rival.name}: shown with {dict(framing)}", flush=True)
    return FittedRival(rival, framing, meanings)


def choose_points(
    candidates_px: Mapping[str, Sequence[Pixels]], training: FaceSet
) -> tuple[dict[str, int], float]:
    """The candidates that agree best with the labels but for a constant, by point, and their RMSE in pixels.

    candidates_px: in the order of the labelled points, shape (n, 2) each.
    """
    chosen, errors_px = {}, []
    for point, (name, meanings) in enumerate(candidates_px.items()):
        errors = [(meant - training.truth_px[:, point])[:, None] for meant in meanings]
        corrected = [without_kinds_offsets(one, training.kinds, one, training.kinds) for one in errors]
        chosen[name] = int(np.argmin([root_mean_square(one) for one in corrected]))
        errors_px.append(corrected[chosen[name]])
    return chosen, root_mean_square(np.concatenate(errors_px, axis=1))


def candidates(rival: Rival, points_px: Pixels) -> Mapping[str, Sequence[Pixels]]:
    """What the competition's points may be among a package's own: one or several, shape (n, 2) each."""
    if rival.system != "dlib":
        return {
            name: [points_px[:, list(indices)].mean(axis=1) for indices in _MESH[name]]
            for name in KAGGLE15.names
        }
    by_name = np.moveaxis(as_kaggle15(points_px, IBUG68), 1, 0)
    return {name: [points] for name, points in zip(KAGGLE15.names, by_name, strict=True)}
