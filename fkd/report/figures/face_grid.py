"""Grids of faces with several sets of points, in the hues of the page."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from fkd.core.keypoints import MAX_GREY
from fkd.report.style import COLUMN_IN

_COLUMNS = 3
_TITLE_IN, _GAP_IN = 0.22, 0.06
_LEGEND_IN = 0.3
# Marks are this large for a few points and shrink for many, as they then stand close.
_MARK_POINTS, _FEW_POINTS = 6.0, 15


def draw_faces(
    images: npt.NDArray[np.uint8],
    point_sets: Mapping[str, npt.NDArray[np.floating]],
    titles: Sequence[str],
) -> Drawing:
    """Faces row by row, each with a mark for every point of every set, joined from set to set, and a legend.

    images: uint8, shape (faces, height, width). point_sets: pixels by the set's name, each of shape (faces,
    points, 2); NaN is not drawn. titles: one a face, "" for none.
    """
    rows = math.ceil(len(images) / _COLUMNS)
    tile_in = COLUMN_IN / _COLUMNS
    title_in = _TITLE_IN if any(titles) else _GAP_IN
    height_in = rows * (tile_in + title_in) + _LEGEND_IN
    figure = Drawing(figsize=(COLUMN_IN, height_in))
    figure.set_layout_engine("none")
    margins = {"left": 0, "right": 1, "bottom": 0, "top": 1 - (_LEGEND_IN + title_in) / height_in}
    gaps = {"wspace": _GAP_IN / tile_in, "hspace": title_in / tile_in}
    grid = figure.subplots(rows, _COLUMNS, squeeze=False, gridspec_kw=margins | gaps)
    for axes in grid.flat:
        axes.set_axis_off()
    for face, (axes, image) in enumerate(zip(grid.flat, images, strict=False)):
        axes.imshow(image, cmap="gray", vmin=0, vmax=MAX_GREY)
        axes.autoscale(False)  # a point outside the frame must not shrink its picture
        axes.set_title(titles[face], fontsize=8)
        _draw_points(axes, {name: points_px[face] for name, points_px in point_sets.items()})
    hues = [Line2D([], [], color=_hue(i), marker=".", ls="", ms=9) for i in range(len(point_sets))]
    figure.legend(hues, list(point_sets), loc="upper left", ncols=len(point_sets), borderpad=0)
    return figure


def _draw_points(axes: Axes, point_sets: Mapping[str, npt.NDArray[np.floating]]) -> None:
    points = len(next(iter(point_sets.values())))
    size = _MARK_POINTS * min(1.0, math.sqrt(_FEW_POINTS / points))
    if len(point_sets) > 1:
        joined = np.stack(list(point_sets.values()))  # (sets, points, 2)
        axes.plot(joined[..., 0], joined[..., 1], color=_hue(0), linewidth=0.7)
    for i, points_px in enumerate(point_sets.values()):
        axes.plot(*points_px.T, ".", color=_hue(i), markersize=size, markeredgewidth=0)


def _hue(position: int) -> str:
    """Hues that stand out on grey: orange, then sky blue, then yellow."""
    return ("C1", "C9", "C8")[position]
