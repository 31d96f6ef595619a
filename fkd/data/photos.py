"""Photos read as they are displayed."""

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

    Raises UserError for a missing, damaged or unknown file, and for one of more than 40 megapixels, whose
    pixels are not decoded.
    """
    if not path.is_file():
        raise UserError(f"{path}: expected a photo, received no such file; correct the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's, about details such as a damaged comment
            with Image.open(path, formats=_FORMATS) as picture:
                _check_size(path, *picture.size)
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


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        raise UserError(_too_large(path, f"{width} x {height}"))


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
