"""Photos read as they are displayed."""

import math
import mmap
import re
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from fkd.core.errors import UserError

MAX_MEGAPIXELS = 40
# Not all that Pillow can open: some readers start other programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
# Each is a pass over all pixels, and a megabyte can ask for an hour of them. Progressive photos have ten.
_MAX_JPEG_SCANS = 100
_JPEG_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")  # of those that do not stand among pixels
_JPEG_BEGIN, _JPEG_END, _JPEG_SCAN = 0xD8, 0xD9, 0xDA
_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 322, 323  # tags
_WHITE = (255, 255, 255, 255)
_GREY_LEVELS_OF_16_BITS = 257  # 65535 / 255


@dataclass(frozen=True)
class Photo:
    """A photo as displayed: turned as its EXIF data say, transparent parts on white.

    rgb: uint8, shape (height, width, 3). grey: uint8, shape (height, width).
    """

    rgb: npt.NDArray[np.uint8]
    grey: npt.NDArray[np.uint8]


def read_photo(path: Path) -> Photo:
    """Read a JPEG, PNG, WebP, BMP, TIFF or GIF file, of several pictures the first.

    Raises UserError for a missing, damaged or unknown file, for what is no file, such as a pipe, which is not
    opened, and for more than 40 megapixels or for more work than these, whose pixels are not decoded.
    """
    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's, about details such as a damaged comment
            with Image.open(path, formats=_FORMATS) as picture:
                _check_size(path, *picture.size)
                _check_work(path, picture)
                return _as_displayed(picture)
    except Image.DecompressionBombError as error:  # Pillow's own, far higher limit
        raise UserError(_too_large(path, "far more")) from error
    except UserError:
        raise
    except Exception as error:  # damaged files make Pillow raise almost anything
        problem = getattr(error, "strerror", None) or "a damaged or unknown one"
        raise UserError(
            f"{path}: expected a whole picture ({', '.join(_FORMATS)}), received {problem}; "
            "export it again as JPEG or PNG"
        ) from error


def _check_file(path: Path) -> None:
    """Only a file is opened: opening a pipe waits until someone writes."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path}: expected a photo, received no such file ({problem}); correct the path"
        ) from error
    if not stat.S_ISREG(mode):
        received = "a folder in which none is found" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise UserError(f"{path}: expected a photo, received {received}; correct the path")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        raise UserError(_too_large(path, f"{width} x {height}"))


def _check_work(path: Path, picture: Image.Image) -> None:
    """Refuse the files that decode far more than the pixels of which they consist."""
    if picture.format in ("JPEG", "MPO") and _jpeg_scans(path) > _MAX_JPEG_SCANS:
        problem = f"more than {_MAX_JPEG_SCANS} passes over the pixels"
    elif picture.format == "TIFF" and _tiled_pixels(picture) > 2 * MAX_MEGAPIXELS * 1_000_000:
        problem = "tiles that reach far beyond it"
    else:
        return
    raise UserError(f"{path}: expected an ordinary photo, received {problem}; export it again as JPEG or PNG")


def _jpeg_scans(path: Path) -> int:
    """How many passes there are up to the picture's end, or to the first that is too many."""
    scans, place = 0, 0
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while scans <= _MAX_JPEG_SCANS and (marker := _JPEG_MARKER.search(content, place)):
            code, place = marker[1][0], marker.end()
            if code == _JPEG_END:
                break
            scans += code == _JPEG_SCAN
            if code != _JPEG_BEGIN:  # a segment says how long it is
                place += int.from_bytes(content[place : place + 2])
    return scans


def _tiled_pixels(picture: Image.Image) -> int:
    """The pixels of the tiles that a TIFF's own cover; 0 without tiles."""
    tags = picture.getexif()
    sides = tags.get(_TIFF_TILE_WIDTH, 0), tags.get(_TIFF_TILE_HEIGHT, 0)
    if not all(sides):
        return 0
    return math.prod(
        math.ceil(length / side) * side for length, side in zip(picture.size, sides, strict=True)
    )


def _too_large(path: Path, received: str) -> str:
    return (
        f"{path}: expected at most {MAX_MEGAPIXELS} megapixels, received {received}; shrink the photo first"
    )


def _as_displayed(picture: Image.Image) -> Photo:
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):  # Pillow clips these to 8 bits; 16-bit colour is 8 bits by now
        grey = _scaled_to_8_bits(np.asarray(picture))
        return Photo(np.repeat(grey[..., np.newaxis], 3, axis=2), grey)
    if picture.has_transparency_data:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, _WHITE), picture.convert("RGBA"))
    picture = picture.convert("RGB")
    return Photo(np.asarray(picture), np.asarray(picture.convert("L")))


def _scaled_to_8_bits(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Grey values of 16 bits as 8 bits; raises ValueError for numbers that are no such values."""
    if np.issubdtype(values.dtype, np.floating) or values.min() < 0 or values.max() > 65535:
        raise ValueError("no 16-bit grey values")
    return np.rint(values / _GREY_LEVELS_OF_16_BITS).astype(np.uint8)
