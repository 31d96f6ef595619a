"""Reads labelled photos: .asf shapes as of the IMM database, and the XML of dlib's imglab.

Every face is cut out of its photo as a square of 96x96 grey pixels. There are no test images.
"""

import io
import math
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError, one_line
from fkd.core.keypoints import IBUG68, IMAGE_SIZE_PX, IMM73, LABEL_RANGE_PX, Schema, is_far_outside
from fkd.core.say import Say
from fkd.data.csv_cells import shown
from fkd.data.faces import FaceData, Faces

Points = npt.NDArray[np.float64]

# The frame's side over the longer side of dlib's box. Of the 40,528 points of ibug68 one lies outside a frame
# of factor 1; turned by 15 degrees 638 do, with factor 1.1 ten, with 1.2 none (nor by 20 degrees).
BOX_MARGIN = 1.2

_LARGEST_BOX = 2  # in sides of the photo
_DLIB_ROOT = b"<dataset"
_HEAD_BYTES = 4096
_CORRECTION = "correct it or fetch the file again."


class Square(NamedTuple):
    """A crop in whole pixels of a photo, beyond whose edges it may reach."""

    left_px: int
    top_px: int
    side_px: int


def cut_out(
    photo: npt.NDArray[np.uint8], points_px: Points, square: Square
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """A square of a photo as a face of 96x96 pixels, and the points in pixels of the face.

    The centre p of a photo's pixel comes to (p + 0.5 - left) * scale - 0.5. Beyond the photo's edges its
    outermost pixels are repeated. photo: grey, shape (height, width). points_px: shape (points, 2).
    """
    left, top, side = square
    rows, columns = (
        np.arange(start, start + side).clip(0, length - 1)
        for start, length in zip((top, left), photo.shape, strict=True)
    )
    interpolation = cv2.INTER_AREA if side > IMAGE_SIZE_PX else cv2.INTER_LINEAR
    face = cv2.resize(photo[np.ix_(rows, columns)], (IMAGE_SIZE_PX,) * 2, interpolation=interpolation)
    keypoints = (points_px + 0.5 - (left, top)) * (IMAGE_SIZE_PX / side) - 0.5
    return face.astype(np.uint8, copy=False), keypoints.astype(np.float32)


def find_asf_files(folder: Path) -> dict[str, Path]:
    """The .asf files of a folder, sorted, and the photos that they name; nothing if there are none.

    Raises UserError for a damaged .asf file and a photo that is not there.
    """
    shapes = _visible_files(folder, ".asf")
    photos = [_read_asf(path)[0] for path in shapes]
    return {str(path): path for path in (*shapes, *photos)}


def read_asf_files(name: str, checksum: str, files: dict[str, Path], say: Say, schema: Schema) -> FaceData:
    """Read what `find_asf_files` found: one face a file, cut out as its photo's centre square of full height.

    Coordinates in the files are parts of the photo's width and height. Where every file's name begins with a
    number and `_`, that number is the person and the group; else groups are unknown.
    schema: points of IMM73. Raises UserError for a damaged file or picture.
    """
    shapes = [path for path in files.values() if path.suffix.lower() == ".asf"]
    faces = []
    for path in shapes:
        photo_path, relative = _read_asf(path)
        photo = _read_photo(photo_path)
        height, width = photo.shape
        # The labels must not decide the crop: a network has none at hand.
        square = Square((width - height) // 2, 0, height)
        faces.append(_face(photo, relative * (width, height), square, str(path)))
    persons = [re.match(r"(\d{1,9})_", path.name) for path in shapes]
    groups = None if None in persons else [int(person[1]) for person in persons if person]
    return _without_test(name, checksum, faces, groups, IMM73, schema)


def find_dlib_files(folder: Path) -> dict[str, Path]:
    """The XML file of imglab in a folder and the photos with boxes that it names; nothing if there is none.

    Raises UserError for several such files, for damaged XML and for a photo that is not there.
    """
    labels = [
        path for path in _visible_files(folder, ".xml") if _DLIB_ROOT in _read_bytes(path)[:_HEAD_BYTES]
    ]
    if not labels:
        return {}
    if len(labels) > 1:
        names = ", ".join(path.name for path in labels)
        raise UserError(f"{folder}: expected one XML file of dlib's, received {names}; keep one of them.")
    photos = {file: folder / file for file, _ in _photos_with_boxes(labels[0])}
    for file, path in photos.items():
        _check_is_there(path, f"{labels[0]}, image {file!r}")
    return {labels[0].name: labels[0], **photos}


def read_dlib_files(name: str, checksum: str, files: dict[str, Path], say: Say, schema: Schema) -> FaceData:
    """Read what `find_dlib_files` found: every box is a face, cut out as a square about the box's centre.

    Groups are photos. Boxes marked `ignore` are left out, and how many photos have no other is reported.
    schema: points of IBUG68. Raises UserError for wrong boxes and parts and for damaged pictures.
    """
    labels = next(iter(files.values()))
    faces, groups = [], []
    numbers: dict[str, int] = {}
    for file, boxes in _photos_with_boxes(labels, say):
        photo = _read_photo(files[file])
        for number, box in enumerate(boxes, start=1):
            place = f"{labels}, image {file!r}, box {number}"
            square = _box_square(box, place, photo.shape)
            faces.append(_face(photo, _parts_px(box, place, photo.shape), square, place))
            groups.append(numbers.setdefault(file, len(numbers)))
    return _without_test(name, checksum, faces, groups, IBUG68, schema)


def _visible_files(folder: Path, suffix: str) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() == suffix and not path.name.startswith(".")
    )


def _read_asf(path: Path) -> tuple[Path, Points]:
    """The photo of a shape file, and its points relative to the photo's size, shape (73, 2)."""
    text = _read_bytes(path).decode(errors="replace")
    numbered = [(f"{path}, line {i}", line.strip()) for i, line in enumerate(text.splitlines(), start=1)]
    lines = [(place, line) for place, line in numbered if line and not line.startswith("#")]
    count = len(IMM73.names)
    place, line = lines[0] if lines else (str(path), "")
    if line != str(count):
        raise _wrong(place, f"the number of points, {count}", shown(line))
    rows = lines[1 : 1 + count]
    points = np.array([_asf_point(*row, number) for number, row in enumerate(rows)])
    if len(lines) != count + 2:
        received = f"{len(rows)} points and {len(lines) - 1 - len(rows)} lines behind them"
        raise _wrong(str(path), f"{count} points and the name of the photo", received)
    place, line = lines[-1]
    photo = path.parent / line
    _check_is_there(photo, place)
    return photo, points


def _asf_point(place: str, line: str, number: int) -> tuple[float, float]:
    words = line.split()
    if len(words) < 5 or words[4] != str(number):
        raise _wrong(place, f"`path type x y {number}` and what follows", shown(line))
    return _number(words[2], place, "x", -1, 2), _number(words[3], place, "y", -1, 2)


def _photos_with_boxes(labels: Path, say: Say = lambda line: None) -> Iterator[tuple[str, list[ET.Element]]]:
    """Every photo's file name, as in the XML, with its boxes; says how many photos have none."""
    try:
        root = ET.fromstring(_read_bytes(labels))  # expat bounds what entities may grow to
    except (ET.ParseError, ValueError, LookupError) as error:
        raise _wrong(str(labels), "well-formed XML", str(error)) from error
    if root.tag != "dataset":
        raise _wrong(str(labels), "dlib's <dataset>", f"<{root.tag}>")
    bare = found = 0
    for number, image in enumerate(root.iterfind("images/image"), start=1):
        if not (file := image.get("file")):
            raise _wrong(f"{labels}, image {number}", "a file's name", "none")
        boxes = [box for box in image.iterfind("box") if box.get("ignore") != "1"]
        bare, found = bare + (not boxes), found + len(boxes)
        if boxes:
            yield file, boxes
    if not found:
        raise _wrong(str(labels), "at least one box", "none")
    if bare:
        say(f"{labels}: photos without a box, which are left out: {bare:,}")


def _box_square(box: ET.Element, place: str, photo_shape: tuple[int, ...]) -> Square:
    height, width = photo_shape
    box_width = _number(box.get("width"), place, "width", 1, _LARGEST_BOX * width)
    box_height = _number(box.get("height"), place, "height", 1, _LARGEST_BOX * height)
    left = _number(box.get("left"), place, "left", -box_width, width)
    top = _number(box.get("top"), place, "top", -box_height, height)
    side = round(max(box_width, box_height) * BOX_MARGIN)
    return Square(round(left + (box_width - side) / 2), round(top + (box_height - side) / 2), side)


def _parts_px(box: ET.Element, place: str, photo_shape: tuple[int, ...]) -> Points:
    """The points of a box in pixels of the photo, shape (68, 2)."""
    height, width = photo_shape
    parts = {part.get("name"): part for part in box.iterfind("part")}
    names = [f"{number:02}" for number in range(len(IBUG68.names))]
    count = len(box.findall("part"))
    absent = [f", none named {name}" for name in names if name not in parts]
    if absent or count != len(names):
        raise _wrong(place, f"the parts 00 to {names[-1]} once each", f"{count} parts{''.join(absent[:1])}")
    return np.array(
        [
            [
                _number(parts[name].get(axis), f"{place}, part {name}", axis, -length, 2 * length)
                for axis, length in (("x", width), ("y", height))
            ]
            for name in names
        ]
    )


def _read_photo(path: Path) -> npt.NDArray[np.uint8]:
    """A picture as grey values, shape (height, width); not turned by its EXIF data, as labels are not.

    Raises UserError for a damaged one and for one of more than 178 megapixels, which is not decoded.
    """
    from PIL import Image  # slow to load

    content = _read_bytes(path)
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)):
            pass  # only the header is read
    except Image.DecompressionBombError as error:
        raise _wrong(str(path), "a photo that fits in memory", one_line(error)) from error
    except Exception:  # damaged files make Pillow raise almost anything
        pass  # OpenCV reads them, or says that it does not
    try:
        as_stored = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
        photo = cv2.imdecode(np.frombuffer(content, np.uint8), as_stored)
    except cv2.error:  # an empty file, a picture of more pixels than OpenCV reads
        photo = None
    if photo is None:
        raise _wrong(str(path), "a whole picture", "a damaged or unknown one")
    return photo.astype(np.uint8, copy=False)


def _read_bytes(path: Path) -> bytes:
    try:
        if not path.is_file():  # reading a FIFO would wait for ever
            raise UserError(f"{path}: expected a file, received none or something else; replace it.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: expected a readable file, received: {error}; fix this.") from error


def _check_is_there(photo: Path, place: str) -> None:
    with suppress(OSError):  # a name that is too long
        if photo.is_file():
            return
    raise UserError(f"{place:.500}: expected the photo {str(photo)!r:.200}, received no such file; add it.")


def _number(text: str | None, place: str, what: str, lowest: float, highest: float) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not lowest <= value <= highest:
        expected = f"{what} as a number from {lowest:g} to {highest:g}"
        raise _wrong(place, expected, shown(text) if text else "none")
    return value


def _wrong(place: str, expected: str, received: str) -> UserError:
    return UserError(f"{place}: expected {expected}, received {received}; {_CORRECTION}")


def _face(
    photo: npt.NDArray[np.uint8], points_px: Points, square: Square, place: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """What `cut_out` gives; UserError for a point far outside the square."""
    face, keypoints = cut_out(photo, points_px, square)
    far = np.flatnonzero(is_far_outside(keypoints).any(axis=1))
    if far.size:
        lowest, highest = LABEL_RANGE_PX
        expected = f"points from {lowest} to {highest} pixels of the face, which has {IMAGE_SIZE_PX}"
        x, y = keypoints[far[0]]
        raise _wrong(place, expected, f"point {far[0]} at {x:.0f}, {y:.0f}")
    return face, keypoints


def _without_test(
    name: str,
    checksum: str,
    faces: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]],
    groups: list[int] | None,
    held: Schema,
    schema: Schema,
) -> FaceData:
    """Training faces alone, with the points of `schema` out of those that the files hold."""
    import pandas as pd  # slow to load

    keypoints = np.array([points for _, points in faces])
    wanted = [held.names.index(point) for point in schema.names]
    nobody = Faces(
        np.empty((0, IMAGE_SIZE_PX, IMAGE_SIZE_PX), np.uint8),
        np.empty((0, len(wanted), 2), np.float32),
        np.empty(0, np.int64),
    )
    return FaceData(
        name=name,
        checksum=checksum,
        point_names=schema.names,
        training=Faces(np.array([face for face, _ in faces]), keypoints[:, wanted], np.arange(len(faces))),
        test=nobody,
        groups=None if groups is None else np.array(groups),
        lookup=pd.DataFrame({"RowId": nobody.ids, "ImageId": nobody.ids, "FeatureName": np.empty(0, "U1")}),
        solution=None,
    )
