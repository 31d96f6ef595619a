"""The points of a face: their names, left/right twins, subsets and units.

Left and right are the person's, not the viewer's: the picture's left shows the right eye. Pixel centres
are at whole numbers, so a 96-pixel frame spans -0.5 to 95.5 and its centre is 47.5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

IMAGE_SIZE_PX = 96
MAX_GREY = 255
CENTRE_PX = (IMAGE_SIZE_PX - 1) / 2
HALF_WIDTH_PX = IMAGE_SIZE_PX / 2
# Real labels lie a few pixels outside the frame at most. One more than a frame's width outside is a mistake,
# and would govern the loss.
LABEL_RANGE_PX = (-IMAGE_SIZE_PX, 2 * IMAGE_SIZE_PX)


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

    def indices(self, subset: str | Sequence[str]) -> npt.NDArray[np.intp]:
        """Indices of a subset's or of listed points in schema order, shape (points in the subset,).

        Raises KeyError, with what there is, for an unknown subset or point.
        """
        if isinstance(subset, str) and subset not in self.subsets:
            known = ", ".join(self.subsets)
            raise KeyError(f"{self.name} has the subsets {known} (or list points); received {subset!r}")
        wanted = self.subsets[subset] if isinstance(subset, str) else subset
        if unknown := [name for name in wanted if name not in self.names]:
            raise KeyError(f"{self.name} has no point {unknown[0]!r}; its points: {', '.join(self.names)}")
        return np.array([i for i, name in enumerate(self.names) if name in wanted])


def listed_schema(names: tuple[str, ...]) -> Schema:
    """A schema of these points and the one subset `all`.

    Raises ValueError for no points, a point that is listed twice and a left or right one without its twin.
    """
    if not names:
        raise ValueError("expected at least one point, received none")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"expected every point once, received {name!r} twice")
        if _twin_name(name) not in names:
            raise ValueError(f"expected {_twin_name(name)!r} beside its mirror twin {name!r}; add it")
    return Schema("listed", names, {"all": names})


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


# How often the competition asks for each point, of 1,783 test images (its IdLookupTable.csv).
COMPETITION_COUNTS = {
    "left_eye_center": 1782,
    "right_eye_center": 1782,
    "left_eye_inner_corner": 588,
    "left_eye_outer_corner": 589,
    "right_eye_inner_corner": 589,
    "right_eye_outer_corner": 588,
    "left_eyebrow_inner_end": 585,
    "left_eyebrow_outer_end": 574,
    "right_eyebrow_inner_end": 585,
    "right_eyebrow_outer_end": 572,
    "nose_tip": 1783,
    "mouth_left_corner": 590,
    "mouth_right_corner": 587,
    "mouth_center_top_lip": 590,
    "mouth_center_bottom_lip": 1778,
}


def _across(right: Sequence[str], *middle: str) -> tuple[str, ...]:
    """Points from the person's right over the midline to the left."""
    return (*right, *middle, *map(_twin_name, reversed(right)))


def _points_of(part: str, points: str) -> list[str]:
    return [f"{part}_{point}" for point in points.split()]


# In the order of the 300-W project's annotations (dlib's parts 00 to 67). Jaws are counted from the ear.
_IBUG68_NAMES = (
    *_across(_points_of("jaw_right", "1 2 3 4 5 6 7 8"), "chin"),
    *_across(_points_of("right_eyebrow", "outer_end outer_quarter middle inner_quarter inner_end")),
    *_points_of("nose", "bridge_top bridge_middle bridge_bottom tip"),
    *_across(_points_of("right_nostril", "outer inner"), "nose_base"),
    *_points_of("right_eye", "outer_corner upper_outer upper_inner inner_corner lower_inner lower_outer"),
    *_points_of("left_eye", "inner_corner upper_inner upper_outer outer_corner lower_outer lower_inner"),
    *_across(["mouth_right_corner", "top_lip_right_slope", "top_lip_right_peak"], "mouth_center_top_lip"),
    *reversed(_across(["bottom_lip_right_slope", "bottom_lip_right_bulge"], "mouth_center_bottom_lip")),
    *_across(["mouth_inside_right_corner", "top_lip_inside_right"], "top_lip_inside_center"),
    *reversed(_across(["bottom_lip_inside_right"], "bottom_lip_inside_center")),
)

# In the order of the IMM database's .asf files, whose brows and eyes are rings from the outer end.
_RIGHT_RING = "upper_outer upper_middle upper_inner {} lower_inner lower_middle lower_outer"
_LEFT_RING = "lower_outer lower_middle lower_inner {} upper_inner upper_middle upper_outer"
_IMM73_NAMES = (
    *_points_of("right_eyebrow", "outer_end " + _RIGHT_RING.format("inner_end")),
    *_points_of("left_eyebrow", "outer_end " + _LEFT_RING.format("inner_end")),
    *_points_of("right_eye", "outer_corner " + _RIGHT_RING.format("inner_corner")),
    *_points_of("left_eye", "outer_corner " + _LEFT_RING.format("inner_corner")),
    "right_pupil",
    "left_pupil",
    *reversed(_across(_points_of("nose_right", "root flank wing wing_base nostril"), "nose_base")),
    "nose_tip",
    *_across(["mouth_right_corner", "top_lip_right_slope", "top_lip_right_peak"], "mouth_center_top_lip"),
    *reversed(_across(["bottom_lip_right_slope"], "mouth_center_bottom_lip")),
    *_across(["top_lip_inside_right"], "top_lip_inside_center"),
    *_across(["bottom_lip_inside_right"], "bottom_lip_inside_center"),
    *_across(_points_of("jaw_right", "1 2 3 4 5"), "chin"),
)

IBUG68 = Schema("ibug68", _IBUG68_NAMES, {"all": _IBUG68_NAMES})
IMM73 = Schema("imm73", _IMM73_NAMES, {"all": _IMM73_NAMES})

SCHEMAS = {schema.name: schema for schema in (KAGGLE15, IBUG68, IMM73)}


def schema_of(names: tuple[str, ...]) -> Schema:
    """The known schema of exactly these points, else a listed one."""
    known = (schema for schema in SCHEMAS.values() if schema.names == names)
    return next(known, None) or listed_schema(names)


def to_unit(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Pixel coordinates as network targets: the frame's edges become -1 and 1, NaN stays NaN."""
    return ((pixels - CENTRE_PX) / HALF_WIDTH_PX).astype(np.float32)


def to_pixels(unit: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Network outputs as pixel coordinates; the inverse of `to_unit`."""
    return (unit * HALF_WIDTH_PX + CENTRE_PX).astype(np.float32)


def mirror_pixels(pixels: npt.NDArray[np.floating], twins: npt.NDArray[np.intp]) -> npt.NDArray[np.floating]:
    """Points of mirrored pictures as those of the pictures, and the other way round.

    pixels: shape (n, points, 2). twins: where each point's mirror twin stands among them, shape (points,).
    """
    return np.stack([2 * CENTRE_PX - pixels[:, twins, 0], pixels[:, twins, 1]], axis=-1)


def average_augmented(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The average over test-time augmentation, shape (..., n, points, 2).

    pixels: shape (..., views, 1 or 2, n, points, 2): of every view as it is and, where there are two,
    mirrored; all as points of the images themselves.
    """
    return pixels.mean(axis=(-5, -4))


def is_labelled(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Whether both coordinates of a point are there, shape (faces, points); pixels: (faces, points, 2)."""
    return np.isfinite(pixels).all(axis=2)


def label_counts(keypoints: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """How many points of each face are labelled, shape (faces,); keypoints: shape (faces, points, 2)."""
    return is_labelled(keypoints).sum(axis=1)


def is_far_outside(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Whether a coordinate lies beyond `LABEL_RANGE_PX`, of the same shape; False where it is NaN."""
    lowest, highest = LABEL_RANGE_PX
    return (pixels < lowest) | (pixels > highest)


def is_outside_frame(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Whether a labelled point lies beyond the image's edges, shape (faces, points).

    pixels: shape (faces, points, 2), NaN where there is no label.
    """
    return np.any(np.abs(pixels - CENTRE_PX) > HALF_WIDTH_PX, axis=2) & is_labelled(pixels)
