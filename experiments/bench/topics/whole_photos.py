"""From whole photos to points, face finders included: the champion against the packages people take."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.bench.rows import seconds
from experiments.bench.subjects.face_sets import are_found, champions_faces
from experiments.bench.subjects.finished_run import CHAMPION, stored_run
from experiments.bench.subjects.labelled_photos import (
    LabelledPhoto,
    Pixels,
    ibug_photos,
    imm_photos,
    same_shapes,
    without_offsets,
)
from experiments.bench.subjects.rivals import RIVALS, FittedRival, fit_rival
from fkd import load
from fkd.data.source import load_data
from fkd.deploy.photos import predict_photo
from fkd.ensemble.ensemble import Ensemble
from fkd.experiment.store import Run
from fkd.runs.splits import read_split

# What a system finds is the labelled face where their centres are no further apart than this share of the
# distance between the eyes.
_SAME_FACE = 0.5

# From photos to the points of each one's faces, shape (faces, 15, 2), and the milliseconds of each photo.
Predict = Callable[[Sequence[LabelledPhoto]], tuple[list[Pixels], Pixels]]


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """NME, the mean distance in shares of the distance between the eyes, on faces that all systems find."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    training, _ = champions_faces(data_folder)
    ensemble = load(stored_run(CHAMPION, data_folder).path)
    systems: dict[str, Predict] = {f"fkd {CHAMPION}": partial(_ours, ensemble)}
    systems |= {rival.name: partial(_theirs, fit_rival(rival, training)) for rival in RIVALS}
    lines = [
        {"photos": f"{name} ({len(photos)} faces)", **line}
        for name, photos in _sets(ensemble.run, data_folder).items()
        for line in _compare(systems, photos)
    ]
    return {"Whole photos, from the file's pixels to the points, on one core": pd.DataFrame(lines)}


def matching_face(faces_px: Pixels, truth_px: Pixels) -> Pixels:
    """The points of the face that is labelled, shape (15, 2), NaN where none is near enough.

    faces_px: shape (faces, 15, 2).
    """
    centres_px = faces_px.mean(axis=1)
    off_px = np.linalg.norm(centres_px - truth_px.mean(axis=0), axis=1)
    if not len(off_px) or off_px.min() > _SAME_FACE * between_eyes_px(truth_px):
        return np.full_like(truth_px, np.nan)
    return faces_px[off_px.argmin()]


def between_eyes_px(truth_px: Pixels) -> float:
    """The distance between the centres of the eyes, the first two points."""
    return float(np.linalg.norm(truth_px[0] - truth_px[1]))


def _sets(champion: Run, data_folder: Path) -> dict[str, list[LabelledPhoto]]:
    """IMM's photos, and those of ibug68 by what the champion has seen of them."""
    faces = load_data(str(data_folder), lambda line: None).training
    [specialist] = champion.read_experiment().specialists
    complete = np.flatnonzero(np.isfinite(faces.keypoints).all(axis=(1, 2)))
    photos = ibug_photos()
    places = same_shapes(np.array([photo.points_px for photo in photos]), faces.keypoints[complete])
    trained = (places >= 0) & np.isin(complete[places], read_split(champion, specialist).training)
    return {
        "IMM": imm_photos(),
        "ibug68, did not train the champion": [photos[i] for i in np.flatnonzero(~trained)],
        "ibug68, trained the champion": [photos[i] for i in np.flatnonzero(trained)],
    }


def _compare(systems: dict[str, Predict], photos: Sequence[LabelledPhoto]) -> list[dict[str, str]]:
    persons = np.array([labelled.person for labelled in photos])
    errors, milliseconds = {}, {}
    for name, predict in systems.items():
        found_px, milliseconds[name] = predict(photos)
        errors[name] = np.array(
            [
                (matching_face(faces_px, labelled.points_px) - labelled.points_px)
                / between_eyes_px(labelled.points_px)
                for faces_px, labelled in zip(found_px, photos, strict=True)
            ]
        )
    by_all = np.logical_and.reduce([are_found(of) for of in errors.values()])
    return [
        {
            "system": name,
            "found": f"{are_found(of).mean():.1%}",
            "NME": f"{_nme(of[by_all]):.2%}",
            "NME, offsets removed": f"{_nme(without_offsets(of[by_all], persons[by_all])):.2%}",
            "ms a photo": f"{np.median(milliseconds[name]):.0f}",
        }
        for name, of in errors.items()
    ]


def _nme(errors: Pixels) -> float:
    return float(np.linalg.norm(errors, axis=2).mean())


def _ours(ensemble: Ensemble, photos: Sequence[LabelledPhoto]) -> tuple[list[Pixels], Pixels]:
    found: list[Pixels] = []

    def predict(labelled: LabelledPhoto) -> None:
        faces = predict_photo(ensemble, labelled.photo)
        found.append(np.array([face.points_px for face in faces]).reshape(-1, 15, 2))

    milliseconds = [1e3 * seconds(lambda labelled=labelled: predict(labelled)) for labelled in photos]
    return found, np.array(milliseconds)


def _theirs(fitted: FittedRival, photos: Sequence[LabelledPhoto]) -> tuple[list[Pixels], Pixels]:
    pictures: list[npt.NDArray[np.uint8]] = [labelled.photo.grey for labelled in photos]
    return fitted.on_photos(pictures)
