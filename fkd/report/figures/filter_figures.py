"""The filters of the first convolution, as figures."""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure as Drawing

from fkd.report.page import Figure, Section
from fkd.report.run_record import RunRecord
from fkd.report.style import COLUMN_IN

# Where Keras puts the kernel of a network's first convolution.
_FIRST_KERNEL = "layers/conv2d/vars/0"
_COLUMNS, _MOST = 8, 64


def filter_section(record: RunRecord) -> Section:
    """The first kernel of each specialist's best member; none for networks that begin with one weight."""
    filters = {}
    for specialist in record.selected:
        assert specialist.selection is not None
        best = min(specialist.selection.members, key=lambda member: member.rmse_px)
        kernel = read_first_kernel(record.run.member(specialist.name, best.index).best_weights)
        if kernel is not None:
            filters[f"{specialist.name}/{best.index:02d}"] = kernel
    if not record.selected:
        return Section("Learned filters", "No member is finished yet.")
    if not filters:
        return Section(
            "Learned filters", "The first convolution has no picture: its kernels are single weights."
        )
    figure = Figure(
        "first-filters",
        "Filters of the first convolution",
        "Weights from negative (blue) over none (white) to positive (red), of each specialist's best member: "
        "edges and spots where training went far, noise where it was short.",
        partial(_draw_filters, filters),
    )
    return Section("Learned filters", f"Of {', '.join(filters)}.", (figure,))


def read_first_kernel(weights: Path) -> npt.NDArray[np.float32] | None:
    """The first convolution's filters on the grey image, shape (filters, height, width).

    None if there is no such convolution or a filter is a single weight.
    """
    with h5py.File(weights) as file:
        kernel = file.get(_FIRST_KERNEL)
        if kernel is None or kernel.ndim != 4 or kernel.shape[0] == 1:
            return None
        return np.moveaxis(kernel[:, :, 0], -1, 0)


def _draw_filters(filters: Mapping[str, npt.NDArray[np.float32]]) -> Drawing:
    mosaics = {name: _mosaic(kernels[:_MOST]) for name, kernels in filters.items()}
    heights_in = [COLUMN_IN * mosaic.shape[0] / mosaic.shape[1] + 0.3 for mosaic in mosaics.values()]
    figure = Drawing(figsize=(COLUMN_IN, sum(heights_in)))
    panels = figure.subplots(len(mosaics), 1, squeeze=False, height_ratios=heights_in)
    for axes, (name, mosaic) in zip(panels.flat, mosaics.items(), strict=True):
        largest = np.nanmax(np.abs(mosaic))
        axes.imshow(mosaic, cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")
        axes.set_title(name)
        axes.set_axis_off()
    return figure


def _mosaic(kernels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Filters side by side with one empty (NaN) pixel between them."""
    tiles = np.pad(kernels, ((0, -len(kernels) % _COLUMNS), (0, 1), (0, 1)), constant_values=np.nan)
    tiles[len(kernels) :] = np.nan
    rows = math.ceil(len(kernels) / _COLUMNS)
    return np.block([[*tiles[row * _COLUMNS : (row + 1) * _COLUMNS]] for row in range(rows)])[:-1, :-1]
