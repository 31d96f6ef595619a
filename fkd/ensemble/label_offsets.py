"""Label offsets: sources place a point differently, and how many points they label tells them apart.

A network that is trained on mirrored faces, too, cannot learn an offset to one side: what it predicts lies in
the middle, and the offset of each source is added to it.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import Schema, is_labelled
from fkd.ensemble.folds import first_half

if TYPE_CHECKING:
    import pandas as pd

# An offset is drawn towards 0 as if that many more faces had shown none.
_FACES_WITHOUT_OFFSET = 10

Array = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]


def label_counts(keypoints: Array) -> Counts:
    """How many points of each face are labelled, shape (faces,); keypoints: shape (faces, points, 2)."""
    return is_labelled(keypoints).sum(axis=1)


def asked_counts(lookup: "pd.DataFrame", image_ids: npt.NDArray[np.int64], schema: Schema) -> Counts:
    """Of how many points a submission must give both coordinates, by image, shape (images,).

    lookup: columns ImageId and FeatureName.
    """
    import pandas as pd  # slow to load

    image = pd.Index(image_ids).get_indexer(lookup["ImageId"])
    column = pd.Index(schema.columns).get_indexer(lookup["FeatureName"])
    known = (image >= 0) & (column >= 0)
    asked = np.full((len(image_ids), len(schema.columns)), np.nan)
    asked[image[known], column[known]] = 0
    return label_counts(asked.reshape(len(image_ids), -1, 2))


def offsets_px(predictions: Array, truth: Array, counts: Counts, wanted: Counts) -> npt.NDArray[np.float64]:
    """The mean offset of the labels of faces with as many labelled points, shape (wanted, points, 2).

    predictions, truth: shape (rows, points, 2), NaN where there is no label; counts: labelled points of each
    row; wanted: those of the faces that the offsets are for.
    """
    errors_px = (truth - predictions).astype(np.float64)
    offsets = np.zeros((len(wanted), *errors_px.shape[1:]))
    for count in np.unique(wanted):
        errors = errors_px[counts == count]
        labels = np.isfinite(errors).sum(axis=0)
        offsets[wanted == count] = np.nansum(errors, axis=0) / (labels + _FACES_WITHOUT_OFFSET)
    return offsets


def with_offsets(
    predictions: Array, truth: Array, counts: Counts, groups: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Members' predictions with label offsets that each half of the groups gives to the other.

    predictions: shape (members, rows, points, 2); truth: (rows, points, 2); counts, groups: (rows,). What is
    returned may be scored against the truth: no face has a part in its own offset.
    """
    first, moved = first_half(groups), predictions.astype(np.float32)
    for member in moved:
        of_first = offsets_px(member[~first], truth[~first], counts[~first], counts[first])
        of_second = offsets_px(member[first], truth[first], counts[first], counts[~first])
        member[first] += of_first
        member[~first] += of_second
    return moved
