"""Rows in parts of whole groups, so that what is fitted on some is scored on others; pure."""

import numpy as np
import numpy.typing as npt

Groups = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
Fold = tuple[Rows, Rows]  # the rows to fit on, and the others

_FIFTHS = 5


def halves(groups: Groups) -> list[Fold]:
    """Two halves, each scored by the other; none where all rows are of one group. groups: shape (rows,)."""
    first = first_half(groups)
    if first.all():
        return []
    one, other = np.flatnonzero(first), np.flatnonzero(~first)
    return [(one, other), (other, one)]


def first_half(groups: Groups) -> npt.NDArray[np.bool_]:
    """True for the rows of one half: whole groups, the largest first, each to the half with fewer rows."""
    names, sizes = np.unique(groups, return_counts=True)
    rows = [0, 0]
    chosen = []
    for i in np.argsort(-sizes, kind="stable"):
        half = 0 if rows[0] <= rows[1] else 1
        rows[half] += sizes[i]
        if half == 0:
            chosen.append(names[i])
    return np.isin(groups, chosen)


def fifths(groups: Groups) -> list[Fold]:
    """Up to five parts, each scored by the others; none where all rows are of one group."""
    from sklearn.model_selection import GroupKFold  # slow to load

    parts = min(_FIFTHS, len(np.unique(groups)))
    return list(GroupKFold(parts).split(groups, groups=groups)) if parts > 1 else []
