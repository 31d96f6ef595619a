"""The points of a face: their names, left/right twins, subsets and units.

Left and right are the person's, not the viewer's. Pixel centres stand at whole numbers, so a 96-pixel
frame spans -0.5 to 95.5 and its centre is 47.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

IMAGE_SIZE_PX = 96
MAX_GREY = 255
CENTRE_PX = (IMAGE_SIZE_PX - 1) / 2
HALF_WIDTH_PX = IMAGE_SIZE_PX / 2


@dataclass(frozen=True)
class Schema:
    """An ordered set of named keypoints and its named subsets."""

    name: str
    names: tuple[str, ...]
    subsets: Mapping[str, tuple[str, ...]]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Coordinate names in file order: `<point>_x, <point>_y` for every point."""
        return tuple(f"{name}_{axis}" for name in self.names for axis in "xy")

    @cached_property
    def twins(self) -> npt.NDArray[np.intp]:
        """For every point the index of its mirror twin (itself on the midline), shape (points,)."""
        return np.array([self.names.index(_twin_name(name)) for name in self.names])

    def indices(self, subset: str) -> npt.NDArray[np.intp]:
        """Indices of a subset's points in schema order, shape (points in the subset,)."""
        wanted = self.subsets[subset]
        return np.array([i for i, name in enumerate(self.names) if name in wanted])


def _twin_name(name: str) -> str:
    words = {"left": "right", "right": "left"}
    return "_".join(words.get(word, word) for word in name.split("_"))


_FOUR = ("left_eye_center", "right_eye_center", "nose_tip", "mouth_center_bottom_lip")
_KAGGLE15_NAMES = (
    "left_eye_center",
    "right_eye_center",
    "left_eye_inner_corner",
    "left_eye_outer_corner",
    "right_eye_inner_corner",
    "right_eye_outer_corner",
    "left_eyebrow_inner_end",
    "left_eyebrow_outer_end",
    "right_eyebrow_inner_end",
    "right_eyebrow_outer_end",
    "nose_tip",
    "mouth_left_corner",
    "mouth_right_corner",
    "mouth_center_top_lip",
    "mouth_center_bottom_lip",
)

KAGGLE15 = Schema(
    name="kaggle15",
    names=_KAGGLE15_NAMES,
    subsets={
        "all": _KAGGLE15_NAMES,
        "four": _FOUR,
        "eleven": tuple(name for name in _KAGGLE15_NAMES if name not in _FOUR),
    },
)

SCHEMAS = {schema.name: schema for schema in (KAGGLE15,)}


def to_unit(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Pixel coordinates as network targets: the frame's edges become -1 and 1, NaN stays NaN."""
    return ((pixels - CENTRE_PX) / HALF_WIDTH_PX).astype(np.float32)


def to_pixels(unit: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Network outputs as pixel coordinates; the inverse of `to_unit`."""
    return (unit * HALF_WIDTH_PX + CENTRE_PX).astype(np.float32)
