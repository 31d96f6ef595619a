"""Sheets of faces with points, drawn by matplotlib."""

from collections.abc import Sequence

import matplotlib.figure
import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import CENTRE_PX, HALF_WIDTH_PX, IMAGE_SIZE_PX, MAX_GREY, Schema
from fkd.report.style import COLUMN_IN

# Hues of the cycle that stand out on grey skin in both themes: orange, sky blue, yellow.
LEFT_COLOUR, RIGHT_COLOUR, MIDLINE_COLOUR = "C1", "C9", "C8"
SIDES = "orange on the person's left, blue on the right, yellow between"

_GAP_IN = 0.06
_TITLE_IN = 0.19
_TITLE_PT = 8
# Dots cover about the same part of a face however many there are.
_ALL_DOTS_PT2_PER_IN2 = 110.0
_LARGEST_DOT_PT2 = 9.0
# A dark rim keeps a dot visible on bright skin.
_RIM, _RIM_PT = (0, 0, 0, 0.7), 0.3


def side_colours(schema: Schema) -> list[str]:
    """A colour for every point: of the person's left, right, or the midline."""
    sides = {"left": LEFT_COLOUR, "right": RIGHT_COLOUR}
    return [
        next((sides[word] for word in name.split("_") if word in sides), MIDLINE_COLOUR)
        for name in schema.names
    ]


def face_sheet(
    images: npt.NDArray[np.floating | np.uint8],
    points_px: npt.NDArray[np.floating],
    colours: Sequence[str],
    columns: int,
    titles: Sequence[str] = (),
    width_in: float = COLUMN_IN,
) -> matplotlib.figure.Figure:
    """Faces in rows of `columns`, a dot on every point that has a label and lies inside its image.

    images: grey values in [0, 255], shape (faces, 96, 96). points_px: shape (faces, points, 2); NaN is not
    drawn. colours: one per point. titles: one per face, or none at all; a long one may run on to the right.
    """
    face_in = (width_in - (columns - 1) * _GAP_IN) / columns
    px_per_in = IMAGE_SIZE_PX / face_in
    gap_px, title_px = _GAP_IN * px_per_in, _TITLE_IN * px_per_in if titles else 0.0
    step_x_px, step_y_px = IMAGE_SIZE_PX + gap_px, IMAGE_SIZE_PX + gap_px + title_px
    across_px, down_px = columns * step_x_px - gap_px, -(-len(images) // columns) * step_y_px - gap_px
    # The axes fill the figure; in pixels of a face, this is where each face has its upper left corner.
    row, column = np.divmod(np.arange(len(images)), columns)
    left_px, top_px = column * step_x_px, row * step_y_px + title_px

    figure = matplotlib.figure.Figure(figsize=(width_in, down_px / px_per_in))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for image, left, top in zip(images, left_px, top_px, strict=True):
        extent = (left, left + IMAGE_SIZE_PX, top + IMAGE_SIZE_PX, top)
        axes.imshow(image, cmap="gray", vmin=0, vmax=MAX_GREY, extent=extent, interpolation="bilinear")
    for title, left, top in zip(titles, left_px, top_px, strict=bool(titles)):
        axes.text(left, top - gap_px / 2, title, fontsize=_TITLE_PT, verticalalignment="bottom")
    inside = (np.abs(points_px - CENTRE_PX) <= HALF_WIDTH_PX).all(axis=2)
    x_px, y_px = (points_px + 0.5 + np.column_stack([left_px, top_px])[:, np.newaxis])[inside].T
    area = min(_LARGEST_DOT_PT2, _ALL_DOTS_PT2_PER_IN2 * face_in**2 / points_px.shape[1])
    hues = np.broadcast_to(list(colours), inside.shape)[inside]
    axes.scatter(x_px, y_px, s=area, c=hues.tolist(), edgecolors=_RIM, linewidths=_RIM_PT, zorder=3)
    axes.set(xlim=(0, across_px), ylim=(down_px, 0), aspect="auto")
    return figure
