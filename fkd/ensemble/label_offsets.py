"""Label offsets: sources place a point differently, and how many points they label tells them apart.

A network that is trained on mirrored faces, too, cannot learn an offset to one side: what it predicts lies in
the middle, and the offset of each source is added to it.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import Schema, label_counts
from fkd.ensemble.folds import Groups, fifths, halves

if TYPE_CHECKING:
    import pandas as pd

# An offset is drawn towards 0 as if that many more faces had shown none.
_FACES_WITHOUT_OFFSET = 10
_FACES_FOR_A_LINEAR_OFFSET = 50
# Of the squares of a linear offset's coefficients, for coordinates of standard deviation 1.
_PENALTIES = (np.inf, 3000.0, 1000.0, 300.0, 100.0)

Array = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]


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


def offsets_px(
    predictions: Array,
    truth: Array,
    counts: Counts,
    groups: Groups,
    others: Array,
    other_counts: Counts,
    *,
    linear: bool,
) -> npt.NDArray[np.float64]:
    """How far off the labels of other faces are, learnt from those with as many labelled points.

    predictions, truth: shape (rows, points, 2), NaN where there is no label. others: what is predicted of the
    other faces. counts, other_counts: how many points are labelled, by face. groups: shape (rows,). linear:
    whether an offset depends on where all points are predicted, so on the pose, or is their mean.
    Returns an array shaped as `others`.
    """
    errors_px = (truth - predictions).astype(np.float64)
    offsets = np.zeros((len(other_counts), *errors_px.shape[1:]))
    for count in np.unique(other_counts):
        known, wanted = counts == count, other_counts == count
        labels = np.isfinite(errors_px[known]).sum(axis=0)
        means = np.nansum(errors_px[known], axis=0) / (labels + _FACES_WITHOUT_OFFSET)
        offsets[wanted] = means
        if linear and known.sum() >= _FACES_FOR_A_LINEAR_OFFSET:
            offsets[wanted] += _linear(
                predictions[known], errors_px[known] - means, groups[known], others[wanted]
            )
    return offsets


def _linear(
    predictions: Array, residuals: npt.NDArray[np.float64], groups: Groups, others: Array
) -> npt.NDArray[np.float64]:
    """What is left of the errors, by ridge regression on the coordinates of all points.

    Its penalty is the one that does best across groups, none at all among the choices.
    """
    coordinates = predictions.reshape(len(predictions), -1).astype(np.float64)
    means, scales = coordinates.mean(axis=0), coordinates.std(axis=0)
    scales[scales == 0] = 1
    known, wanted = (coordinates - means) / scales, (others.reshape(len(others), -1) - means) / scales
    folds = fifths(groups)

    def squares(penalty: float) -> float:
        """Of the errors on faces that had no part in the regression, in sum."""
        left = (
            residuals[rows] - _ridge(known[fit], residuals[fit], known[rows], penalty) for fit, rows in folds
        )
        return sum(float(np.nansum(errors**2)) for errors in left)

    return _ridge(known, residuals, wanted, min(_PENALTIES, key=squares))


def _ridge(known: Array, residuals: Array, wanted: Array, penalty: float) -> npt.NDArray[np.float64]:
    """Of residuals (rows, points, 2) on features (rows, features), for others; 0 without labels."""
    from sklearn.linear_model import Ridge  # slow to load

    predicted = np.zeros((len(wanted), *residuals.shape[1:]))
    labelled = np.isfinite(residuals).all(axis=2)
    # Points that are labelled on the same faces are fitted at once.
    for rows in np.unique(labelled, axis=1).T if penalty < np.inf else ():
        if rows.any():
            points = (labelled == rows[:, np.newaxis]).all(axis=0)
            targets = residuals[rows][:, points]
            ridge = Ridge(penalty, fit_intercept=False).fit(known[rows], targets.reshape(len(targets), -1))
            predicted[:, points] = ridge.predict(wanted).reshape(len(wanted), *targets.shape[1:])
    return predicted


def with_offsets(
    predictions: Array, truth: Array, counts: Counts, groups: Groups, *, linear: bool
) -> npt.NDArray[np.float32]:
    """Members' predictions with offsets of other groups: the other half or, if linear, four fifths.

    predictions: shape (members, rows, points, 2); truth: (rows, points, 2); counts, groups: (rows,). What is
    returned may be scored against the truth: no face has a part in its own offset.
    """
    moved, folds = predictions.astype(np.float32), fifths(groups) if linear else halves(groups)
    for member, own in zip(moved, moved.copy(), strict=True):
        for known, others in folds:
            fitted = own[known], truth[known], counts[known], groups[known]
            member[others] += offsets_px(*fitted, own[others], counts[others], linear=linear)
    return moved
