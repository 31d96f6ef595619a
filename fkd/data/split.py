"""Which rows train and which validate: whole groups of look-alike faces, never a part of one."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError

_HASH_SAMPLES = 32
_HASH_FREQUENCIES = 8
_HASH_BITS = _HASH_FREQUENCIES**2

# Of the 13 million pairs of wild15 (5,166 faces), 103 are within 8 bits; looked at, only 6 of them join
# strangers, and 50 show one photo under two numbers in groups.csv. The next step, 10 bits, adds 81 pairs
# across those groups, mostly strangers, and from 12 on they chain: the largest component has 11 faces at 8
# and 10 bits, 59 at 12 and 2,002 at 14 (together with groups.csv: 26, 83, 2,155 and 4,163).
NEAR_DUPLICATE_BITS = 8

_BLOCK_ROWS = 1024


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

    first, second = _near_duplicates(_perceptual_hashes(images))
    if groups is not None:
        _, first_of_group, group_of_face = np.unique(groups, return_index=True, return_inverse=True)
        first = np.concatenate([first, np.arange(len(images))])
        second = np.concatenate([second, first_of_group[group_of_face]])
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(images), len(images)))
    _, components = connected_components(links, directed=False)
    _, first_of_component, component_of_face = np.unique(components, return_index=True, return_inverse=True)
    return first_of_component[component_of_face].astype(np.int64)


def near_duplicates(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Pairs of faces that a perceptual hash tells apart by at most NEAR_DUPLICATE_BITS, the most alike first.

    images: shape (faces, height, width). Returns rows (first, second), first < second, shape (pairs, 2).
    """
    hashes = _perceptual_hashes(images)
    first, second = _near_duplicates(hashes)
    pairs = np.column_stack([first, second])[first < second].astype(np.int64)
    equal_bits = np.einsum("ij,ij->i", hashes[pairs[:, 0]], hashes[pairs[:, 1]])
    return pairs[np.argsort(-equal_bits, kind="stable")]


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


def _perceptual_hashes(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Signs of each image's low frequencies against their median, +1 or -1, shape (images, 64).

    The DCT hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010):
    32x32 samples, the 8x8 lowest frequencies without the constant row and column.
    """
    wanted = slice(1, 1 + _HASH_FREQUENCIES)
    hashes = np.empty((len(images), _HASH_BITS), np.float32)
    for i, image in enumerate(images):
        samples = cv2.resize(image, (_HASH_SAMPLES, _HASH_SAMPLES), interpolation=cv2.INTER_AREA)
        frequencies = cv2.dct(samples.astype(np.float32))[wanted, wanted].ravel()
        hashes[i] = np.where(frequencies > np.median(frequencies), 1, -1)
    return hashes


def _near_duplicates(hashes: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Indices (first, second) of all pairs within NEAR_DUPLICATE_BITS of each other."""
    # The product of two hashes of +-1 is the number of equal bits less the number of different ones.
    least_product = _HASH_BITS - 2 * NEAR_DUPLICATE_BITS
    firsts, seconds = [], []
    for start in range(0, len(hashes), _BLOCK_ROWS):
        products = hashes[start : start + _BLOCK_ROWS] @ hashes[start:].T
        first, second = np.nonzero(products >= least_product)
        firsts.append(first + start)
        seconds.append(second + start)
    return np.concatenate(firsts), np.concatenate(seconds)
