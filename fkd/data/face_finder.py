"""Faces found in whole photos, by OpenCV's Haar cascade or a YuNet model, framed as faces in training are."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.data.crops import SCALE_FACTOR, Boxes, load_cascade

GreyPhoto = npt.NDArray[np.uint8]  # grey, shape (height, width)
Floats = npt.NDArray[np.float64]

# Measured on every third training picture of wild15, borders replicated by 48 px and all enlarged twice. In
# 1,660 of these 1,722 the cascade found exactly one box: the frame's side is 0.946 of the box's (median;
# quartiles 0.88 and 1.03), its centre lies 0.000 to the right and 0.018 below. Of the margins 0.85 to 1.2,
# 0.95 without an offset had the lowest RMSE on the validation rows.
_HAAR_FRAME = 0.95
# A whole photo has more background to be mistaken for a face than 96 x 96 pixels have. Eight windows and a
# weight of 2 were chosen by eye on 20 photos: with five windows 34 boxes showed faces and 15 did not, with
# these 29 and 3. Of 298 labelled faces of ibug68 they find 282, five windows 291. Of two boxes that share
# more than 0.3 of their union the weightier one stays.
_HAAR_MIN_NEIGHBOURS, _HAAR_LEAST_WEIGHT, _HAAR_OVERLAP = 8, 2.0, 0.3
# A face is at least this large: the cascade's own window, and what bounds the time on a large photo.
_HAAR_WINDOW_PX, _HAAR_MIN_PART = 24, 1 / 40

# The five points that YuNet finds, by the competition's names; of two eyes and two corners the order is no
# matter. Measured on their labels in wild15's 1,946 training pictures: the frame's side is 3.85 times their
# root mean square distance from their mean (quartiles 3.64 and 4.09), its centre lies 0.086 of it above that
# mean and 0.012 to the left, which is left out.
FIVE_POINTS = ("left_eye_center", "right_eye_center", "nose_tip", "mouth_left_corner", "mouth_right_corner")
_FIVE_FRAME, _FIVE_UPWARD = 3.85, 0.086
# A frame by five points is no better where its side is not between these parts of the former one's, or its
# centre further away than this part of it: the points are then no face's.
_LIKELY_SIDES, _LIKELY_SHIFT = (0.6, 1.6), 0.3

_YUNET_LONGEST_SIDE_PX = 1280  # larger photos are shrunk: YuNet's time grows with the pixels
_YUNET_LEAST_SCORE = 0.8


def find_faces_in_photo(photo: GreyPhoto, yunet: Path | None = None) -> Boxes:
    """The square about every face of a photo, left to right, shape (faces, 3): left, top, side in pixels.

    The face fills its square as in the competition's pictures; squares may reach beyond the photo.
    photo: grey uint8, shape (height, width). yunet: an ONNX file for OpenCV's FaceDetectorYN in the place of
    the Haar cascade. Raises UserError for a cascade or a model that cannot be read.
    """
    squares = _squares(*(_by_yunet(photo, yunet) if yunet else _by_haar(photo)))
    return squares[np.lexsort((squares[:, 1], squares[:, 0]))]


def frame_anew(squares: Boxes, points_px: Floats) -> Boxes:
    """The squares about faces whose FIVE_POINTS are known; the former ones where they would lead far away.

    squares: shape (faces, 3). points_px: shape (faces, 5, 2), in pixels of the photo, NaN where unknown.
    """
    centres_px, sides_px = _framed(points_px)
    former_px = squares[:, :2] + (squares[:, 2:] - 1) / 2
    shifts = np.abs(centres_px - former_px).max(axis=1) / squares[:, 2]
    least, most = _LIKELY_SIDES
    grown = sides_px / squares[:, 2]
    likely = (grown >= least) & (grown <= most) & (shifts <= _LIKELY_SHIFT)
    framed = squares.copy()
    framed[likely] = _squares(centres_px[likely], sides_px[likely])
    return framed


def _squares(centres_px: Floats, sides_px: Floats) -> Boxes:
    sides_px = np.rint(sides_px)
    corners_px = np.rint(centres_px + 0.5 - sides_px[:, np.newaxis] / 2)
    return np.column_stack([corners_px, sides_px]).astype(np.int64)


def _framed(points_px: Floats) -> tuple[Floats, Floats]:
    """Centres, shape (faces, 2), and sides, shape (faces,), of the frames about five points, in pixels."""
    means_px = points_px.mean(axis=1)
    spreads_px = np.sqrt(((points_px - means_px[:, np.newaxis]) ** 2).sum(axis=2).mean(axis=1))
    sides_px = np.maximum(1, _FIVE_FRAME * spreads_px)
    return means_px - sides_px[:, np.newaxis] * (0, _FIVE_UPWARD), sides_px


def _by_haar(photo: GreyPhoto) -> tuple[Floats, Floats]:
    """Centres, shape (faces, 2), and sides, shape (faces,), of the frames, in pixels."""
    min_side_px = max(_HAAR_WINDOW_PX, round(_HAAR_MIN_PART * max(photo.shape)))
    found, _, weights = load_cascade().detectMultiScale3(
        photo,
        scaleFactor=SCALE_FACTOR,
        minNeighbors=_HAAR_MIN_NEIGHBOURS,
        minSize=(min_side_px, min_side_px),
        outputRejectLevels=True,
    )
    boxes = np.array(found, np.float64).reshape(-1, 4)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), list(weights), _HAAR_LEAST_WEIGHT, _HAAR_OVERLAP)
    boxes = boxes[np.array(kept, np.intp)]
    return boxes[:, :2] + (boxes[:, 2:] - 1) / 2, boxes[:, 2] * _HAAR_FRAME


def _by_yunet(photo: GreyPhoto, model: Path) -> tuple[Floats, Floats]:
    """As `_by_haar`; the frames follow the five points that YuNet finds."""
    if not model.is_file():
        raise UserError(f"{model}: expected a YuNet model (ONNX), received no such file; correct --yunet")
    height, width = photo.shape
    shrunk = min(1.0, _YUNET_LONGEST_SIDE_PX / max(photo.shape))
    size = max(1, round(width * shrunk)), max(1, round(height * shrunk))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA) if shrunk < 1 else photo
    try:
        detector = cv2.FaceDetectorYN.create(str(model), "", size, score_threshold=_YUNET_LEAST_SCORE)
        _, found = detector.detect(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR))
    except cv2.error as error:
        raise UserError(
            f"{model}: expected a YuNet model for OpenCV's FaceDetectorYN, received a file that OpenCV "
            f"{cv2.__version__} cannot run; fetch face_detection_yunet_2023mar.onnx, or leave --yunet out"
        ) from error
    faces = np.empty((0, 15)) if found is None else np.asarray(found, np.float64)
    # x, y, width, height, five points, score
    points_px = (faces[:, 4:14].reshape(-1, 5, 2) + 0.5) * (width / size[0], height / size[1]) - 0.5
    return _framed(points_px)
