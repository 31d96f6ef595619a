"""The data before any training: which labels are missing, what the faces look like, what is odd."""

from functools import partial
from itertools import count

import matplotlib
import matplotlib.figure
import numpy as np
import numpy.typing as npt
from matplotlib.patches import Rectangle

from fkd.core.keypoints import IMAGE_SIZE_PX, MAX_GREY, Schema, is_labelled, is_outside_frame
from fkd.data.faces import FaceData, Faces
from fkd.data.near_duplicates import near_duplicates
from fkd.report.figures.face_sheet import SIDES, face_sheet, side_colours
from fkd.report.page import Figure, Section
from fkd.report.style import COLUMN_IN

_MOST_BLOCKS = 120
_ROUND_NUMBERS = (1, 2, 5)
_COLUMNS = 4
_FACES_SHOWN = 16
_FRAME_IN = 3.4
_PAIRS_SHOWN = 8
# Looked at in wild15 and in the drawn faces: from here on pairs are one picture, or one person in one scene.
_LOOK_ALIKE = 0.9
# Room for one name beside an axis, and for what stands above and below it.
_NAME_IN = 0.19
_MARGINS_IN = 0.75


def data_section(faces: FaceData, schema: Schema) -> Section:
    """What is in a data set: its labels, its faces, near-duplicates and labels outside the frame.

    Figures that would be empty are left out; the section's text says so.
    """
    labelled = is_labelled(faces.training.keypoints)
    pairs = near_duplicates(faces.training.images)
    alike = look_alikes(faces.training.images, pairs)
    outside = is_outside_frame(faces.training.keypoints)
    figures = [
        *([] if labelled.all() else [_missing_labels(labelled, schema), _counts(labelled, schema)]),
        _some_faces(faces.training, schema),
        *([_duplicates(faces, pairs, alike, schema)] if len(alike) else []),
        _mean_face(faces.training, labelled, schema),
        *([_left_frame(faces.training.keypoints, outside)] if outside.any() else []),
    ]
    return Section(f"The data: {faces.name}", _summary(labelled, len(alike), outside), figures)


def block_rows(rows: int) -> int:
    """Rows that share a column of the heat map: the least of 1, 2, 5, 10, 20, ... for at most 120 columns."""
    sizes = (number * 10**power for power in count() for number in _ROUND_NUMBERS)
    return next(size for size in sizes if size * _MOST_BLOCKS >= rows)


def missing_share(labelled: npt.NDArray[np.bool_], rows: int) -> npt.NDArray[np.float64]:
    """Percentage of missing labels by point and block of `rows` rows, shape (points, blocks)."""
    starts = np.arange(0, len(labelled), rows)
    missing = np.add.reduceat(~labelled, starts, axis=0, dtype=np.int64)
    sizes = np.diff(np.append(starts, len(labelled)))
    return 100.0 * missing.T / sizes


def spread_rows(faces: int, at_most: int) -> npt.NDArray[np.int64]:
    """`at_most` rows, evenly spread over all, the first and the last among them; fewer where there are."""
    return np.unique(np.linspace(0, faces - 1, min(at_most, faces)).round().astype(np.int64))


def look_alikes(images: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The pairs whose pixels are correlated by _LOOK_ALIKE at least, the most alike first, shape (pairs, 2).

    images: shape (faces, height, width). pairs: as `near_duplicates` gives them.
    """
    with np.errstate(invalid="ignore"):  # a picture of one grey is like no other
        correlations = np.array([np.corrcoef(*images[pair].reshape(2, -1))[0, 1] for pair in pairs])
    most_alike_first = np.argsort(-correlations, kind="stable")
    return pairs[most_alike_first[correlations[most_alike_first] >= _LOOK_ALIKE]]


def pairs_of_other_faces(pairs: npt.NDArray[np.int64], at_most: int) -> npt.NDArray[np.int64]:
    """The first `at_most` pairs among which no face is twice, shape (pairs, 2)."""
    seen: set[int] = set()
    chosen: list[list[int]] = []
    for pair in pairs.tolist():
        if len(chosen) < at_most and seen.isdisjoint(pair):
            chosen.append(pair)
            seen.update(pair)
    return np.array(chosen, np.int64).reshape(-1, 2)


def mean_shape_px(keypoints_px: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Every point's mean over the faces that have it, shape (points, 2); NaN where none has."""
    return np.ma.masked_invalid(keypoints_px.astype(np.float64)).mean(axis=0).filled(np.nan)


def mean_image(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The images' mean, stretched to [0, 255] because a mean has little contrast, shape (height, width)."""
    mean = images.mean(axis=0)
    darkest, brightest = mean.min(), mean.max()
    return (mean - darkest) * (MAX_GREY / max(brightest - darkest, 1))


def _summary(labelled: npt.NDArray[np.bool_], pairs: int, outside: npt.NDArray[np.bool_]) -> str:
    faces, points = labelled.shape
    missing, complete = int((~labelled).sum()), int(labelled.all(axis=1).sum())
    gaps = f"; {complete:,} have all, {missing:,} of {labelled.size:,} labels are missing" if missing else ""
    found = {"missing labels": missing, "near-duplicates": pairs, "labels outside the frame": outside.any()}
    absent = " and no ".join(what for what, there in found.items() if not there)
    return (
        f"{faces:,} training faces with {points} points{gaps}{f'; there are no {absent}' if absent else ''}."
    )


def _missing_labels(labelled: npt.NDArray[np.bool_], schema: Schema) -> Figure:
    rows = block_rows(len(labelled))

    def draw() -> matplotlib.figure.Figure:
        figure, axes = _axes_of_points(schema)
        edges = np.append(np.arange(0, len(labelled), rows), len(labelled))
        mesh = axes.pcolormesh(
            edges, np.arange(len(schema.names) + 1) - 0.5, missing_share(labelled, rows), vmin=0, vmax=100
        )
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel("row of the file")
        axes.spines[:].set_visible(True)
        bar = figure.colorbar(mesh, ax=axes, location="top", aspect=40, shrink=0.6, anchor=(0, 0))
        bar.set_ticks([0, 50, 100], labels=["0 %", "50 %", "100 % missing"])
        bar.outline.set_visible(False)
        return figure

    blocks = "row" if rows == 1 else f"{rows} rows"
    caption = (
        f"Share of missing labels in every {blocks}, in the file's order: where many points begin or end "
        "together, another source of labels does."
    )
    return Figure("missing-labels", "Missing labels over rows", caption, draw)


def _counts(labelled: npt.NDArray[np.bool_], schema: Schema) -> Figure:
    def draw() -> matplotlib.figure.Figure:
        figure, axes = _axes_of_points(schema)
        counts = labelled.sum(axis=0)
        bars = axes.barh(range(len(counts)), counts)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
        axes.margins(x=0.12)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel("faces with this label")
        axes.tick_params(left=False)
        return figure

    caption = f"How many of the {len(labelled):,} faces have each point labelled."
    return Figure("labels-by-keypoint", "Labels by keypoint", caption, draw)


def _axes_of_points(schema: Schema) -> tuple[matplotlib.figure.Figure, matplotlib.axes.Axes]:
    """Axes with a line of its own, downwards, for every point."""
    height_in = _MARGINS_IN + _NAME_IN * len(schema.names)
    figure = matplotlib.figure.Figure(figsize=(COLUMN_IN, height_in))
    axes = figure.add_subplot()
    axes.set_yticks(range(len(schema.names)), _titles(schema))
    axes.set_ylim(len(schema.names) - 0.5, -0.5)
    return figure, axes


def _titles(schema: Schema) -> list[str]:
    return [name.replace("_", " ") for name in schema.names]


def _mean_face(faces: Faces, labelled: npt.NDArray[np.bool_], schema: Schema) -> Figure:
    complete = labelled.all(axis=1)
    kinds = [
        (f"faces {words}: {kind.sum():,}", kind)
        for words, kind in (("with all points", complete), ("with gaps", ~complete))
        if kind.any()
    ]

    def draw() -> matplotlib.figure.Figure:
        images = np.stack([mean_image(faces.images[rows]) for _, rows in kinds])
        shapes_px = np.stack([mean_shape_px(faces.keypoints[rows]) for _, rows in kinds])
        return face_sheet(images, shapes_px, side_colours(schema), len(kinds), [title for title, _ in kinds])

    caption = f"The mean image, its contrast stretched, and each point's mean: {SIDES}."
    return Figure("mean-face", "The mean face", caption, draw)


def _some_faces(faces: Faces, schema: Schema) -> Figure:
    rows = spread_rows(len(faces.images), _FACES_SHOWN)
    caption = f"Faces evenly spread over the file with their labelled points: {SIDES}."
    draw = partial(_sheet_of_rows, faces, rows, schema)
    return Figure("faces", "Faces and their points", caption, draw)


def _duplicates(
    faces: FaceData, pairs: npt.NDArray[np.int64], alike: npt.NDArray[np.int64], schema: Schema
) -> Figure:
    shown = pairs_of_other_faces(alike, _PAIRS_SHOWN)
    told = ""
    if faces.groups is not None:
        one_group = (faces.groups[shown[:, 0]] == faces.groups[shown[:, 1]]).sum()
        told = f", {one_group} of them of one group of the data"
    caption = (
        f"The {len(shown)} most alike of {len(alike):,} pairs that look the same, side by side{told}. By a "
        f"perceptual hash {len(pairs):,} pairs are alike, strangers among them; a split parts none of these."
    )
    draw = partial(_sheet_of_rows, faces.training, shown.ravel(), schema)
    return Figure("near-duplicates", "Near-duplicates", caption, draw)


def _sheet_of_rows(faces: Faces, rows: npt.NDArray[np.int64], schema: Schema) -> matplotlib.figure.Figure:
    titles = [f"row {row:,}" for row in rows]
    return face_sheet(faces.images[rows], faces.keypoints[rows], side_colours(schema), _COLUMNS, titles)


def _left_frame(keypoints_px: npt.NDArray[np.floating], outside: npt.NDArray[np.bool_]) -> Figure:
    def draw() -> matplotlib.figure.Figure:
        figure = matplotlib.figure.Figure(figsize=(COLUMN_IN, _FRAME_IN))
        axes = figure.add_subplot(aspect="equal")
        (inside_x, inside_y), (outside_x, outside_y) = keypoints_px[~outside].T, keypoints_px[outside].T
        axes.scatter(inside_x, inside_y, s=0.4, color=matplotlib.rcParams["grid.color"], linewidths=0)
        axes.add_patch(Rectangle((-0.5, -0.5), IMAGE_SIZE_PX, IMAGE_SIZE_PX, fill=False))
        axes.scatter(outside_x, outside_y, s=24, color="C3", marker="x", linewidths=1.2)
        axes.invert_yaxis()
        axes.set(xlabel="x, px", ylabel="y, px")
        return figure

    labels, of_faces = int(outside.sum()), int(outside.any(axis=1).sum())
    caption = (
        f"Labels outside the image's frame as crosses ({labels:,}, on {of_faces:,} of the faces), all others "
        "as dots."
    )
    return Figure("outside-the-frame", "Labels outside the frame", caption, draw)
