"""Which rows train and which validate: whole groups of look-alike faces, never a part of one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.data.near_duplicates import near_duplicates


def group_faces(
    images: npt.NDArray[np.uint8], groups: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.int64]:
    """Groups of faces that must not be on both sides of a split.

    Faces belong together if they are near-duplicates by a perceptual hash or share a given group, directly
    or over other faces.

    images: shape (faces, height, width).
    groups: one person or photo per number, shape (faces,), or None if unknown.
    Returns the row of the group's first face for every face, shape (faces,).
    """
    # Loaded here: every command loads this module, and SciPy's graphs take longer than all else it does.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = near_duplicates(images).T
    if groups is not None:
        _, first_of_group, group_of_face = np.unique(groups, return_index=True, return_inverse=True)
        first = np.concatenate([first, np.arange(len(images))])
        second = np.concatenate([second, first_of_group[group_of_face]])
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(images), len(images)))
    _, components = connected_components(links, directed=False)
    _, first_of_component, component_of_face = np.unique(components, return_index=True, return_inverse=True)
    return first_of_component[component_of_face].astype(np.int64)


def split_rows(
    groups: npt.NDArray[np.int64],
    row_ids: npt.NDArray[np.int64],
    validation_fraction: float,
    seed: Sequence[int],
    fold: int = 0,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Training and validation row ids, both sorted, with every group whole on one side.

    Every group draws a rank from (seed, group) alone, and groups go to validation in rank order while each
    brings the number of rows nearer to the fraction. Neither the rows' order nor the other rows change a
    group's rank, so specialists that share a seed and the groups of the whole data set validate on nearly
    the same faces: their sides differ only by the few groups at the end of the filling.

    groups, row_ids: shape (rows,). seed: numbers from 0 up. fold: as many times before, groups were taken
    in the same way, and are not taken again; the folds share no group.
    Raises UserError if the rows form too few groups for two sides.
    """
    names, sizes = np.unique(groups, return_counts=True)
    if len(names) < 2:
        raise UserError(
            f"validation split: expected rows from at least 2 groups of look-alike faces, received "
            f"{len(row_ids)} rows in {len(names)}; give more labelled faces"
        )
    ranks = np.array([np.random.default_rng([*seed, name]).random() for name in names])
    waiting = np.argsort(ranks)
    for _ in range(fold + 1):
        if not len(waiting):
            raise UserError(
                f"validation split: expected rows from more than {len(names)} groups of look-alike faces for "
                f"fold {fold}; give more labelled faces, or a lower validation_fold"
            )
        taken = _fold(sizes[waiting], validation_fraction * len(row_ids), len(row_ids))
        validation_groups, waiting = names[waiting[taken]], waiting[~taken]
    validates = np.isin(groups, validation_groups)
    return np.sort(row_ids[~validates]), np.sort(row_ids[validates])


def _fold(sizes: npt.NDArray[np.intp], target_rows: float, all_rows: int) -> npt.NDArray[np.bool_]:
    """Which groups, in their order, make a fold: each that brings its rows nearer; else the smallest."""
    taken, rows = np.zeros(len(sizes), bool), 0
    for i, size in enumerate(sizes):
        nearer = abs(rows + size - target_rows) < abs(rows - target_rows)
        if nearer and rows + size < all_rows:
            taken[i] = True
            rows += size
    if not taken.any():
        taken[np.argmin(sizes)] = True
    return taken
