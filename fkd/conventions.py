"""Labelling conventions: sources place a point differently, and which points they label tells them apart.

A network that is trained on mirrored faces, too, cannot learn an offset to one side: what it predicts stands
in the middle, and the offset of each source is added to it.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fkd.ensemble import first_half
from fkd.keypoints import Schema

if TYPE_CHECKING:
    import pandas as pd

# An offset is drawn towards 0 as if so many more faces had shown none.
_FACES_WITHOUT_OFFSET = 10

Pixels = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]


def has_all_labels(keypoints: Pixels) -> Flags:
    """Whether all points of a face are labelled, shape (faces,); keypoints: shape (faces, points, 2)."""
    return np.asarray(np.isfinite(keypoints).all(axis=(1, 2)))


def is_asked_for_all(lookup: "pd.DataFrame", image_ids: npt.NDArray[np.int64], schema: Schema) -> Flags:
    """Whether a submission must give all coordinates of an image, shape (images,).

    lookup: columns ImageId and FeatureName.
    """
    asked = lookup.drop_duplicates(["ImageId", "FeatureName"]).groupby("ImageId").size()
    return np.asarray(asked.reindex(image_ids, fill_value=0) >= len(schema.columns))


def offsets_px(predictions: Pixels, truth: Pixels, complete: Flags) -> npt.NDArray[np.float64]:
    """How far labels stand from predictions on average, shape (2, points, 2): of partly labelled faces first.

    predictions, truth: shape (rows, points, 2), NaN where there is no label; complete: shape (rows,).
    """
    errors_px = (truth - predictions).astype(np.float64)
    of_source = [errors_px[~complete], errors_px[complete]]
    sums_px = np.array([np.nansum(errors, axis=0) for errors in of_source])
    labels = np.array([np.isfinite(errors).sum(axis=0) for errors in of_source])
    return sums_px / (labels + _FACES_WITHOUT_OFFSET)


def with_offsets(
    predictions: Pixels, truth: Pixels, complete: Flags, groups: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Members' predictions with offsets that each half of the groups gives to the other.

    predictions: shape (members, rows, points, 2); truth: (rows, points, 2); complete, groups: (rows,). What
    is returned may be scored against the truth: no face has a part in its own offset.
    """
    first, moved = first_half(groups), predictions.astype(np.float32)
    for member in moved:
        offsets = [offsets_px(member[half], truth[half], complete[half]) for half in (first, ~first)]
        of_second, of_first = (offset_px[complete.astype(int)] for offset_px in offsets)
        member += np.where(first[:, np.newaxis, np.newaxis], of_first, of_second)
    return moved
