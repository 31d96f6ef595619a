"""Labels that a person should look at: those outside the radius of a prediction, on all faces."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.files import is_there
from fkd.core.keypoints import is_labelled
from fkd.core.say import Say, TimeLeft
from fkd.data.faces import FaceData
from fkd.ensemble.choice import choose_members
from fkd.ensemble.ensemble import load_ensemble
from fkd.ensemble.label_outliers import label_outliers, validated_outliers
from fkd.experiment.store import Run

if TYPE_CHECKING:
    import pandas as pd

_FACES_AT_ONCE = 256


@dataclass(frozen=True)
class SuspectLabel:
    """A label outside its radius.

    row, point: of the training data and the schema. label_px, predicted_px: x and y. radii: how many times
    its radius it is away. is_unseen: whether the members that predict it have not learned from this face.
    """

    row: int
    point: int
    label_px: tuple[float, float]
    predicted_px: tuple[float, float]
    radius_px: float
    radii: float
    is_unseen: bool


def suspect_labels(run: Run, faces: FaceData, say: Say) -> list[SuspectLabel]:
    """All labels outside their radii, the furthest by its radius first.

    Those of validation faces are held against predictions that are out-of-sample, those of other faces
    against what the chosen members predict though they have learned from them. Raises UserError where
    no members are chosen, and for a run on other data.
    """
    import pandas as pd  # slow to load

    experiment = run.read_experiment()
    if not is_there(run.selection):
        raise UserError(f"{run.path}: expected chosen members, received none; run fkd select, or make select")
    if run.read_data_checksum() != faces.checksum:
        raise UserError(f"{run.path}: expected the data that it was trained on, received {faces.name}")
    choice = choose_members(run, experiment, faces, say)
    unseen = validated_outliers(choice.validations, choice.by_source, 1.0)
    waiting_px = faces.training.keypoints.copy()
    for report in choice.by_source:
        validation = choice.validations[report.specialist]
        waiting_px[np.ix_(validation.split.validation, validation.points)] = np.nan
    rows = np.flatnonzero(is_labelled(waiting_px).any(axis=1))
    seen = _learned(run, faces.training.images[rows], waiting_px[rows], say)
    seen["row"] = rows[seen["row"]]
    tables = [table.assign(is_unseen=which) for table, which in ((unseen, True), (seen, False))]
    both = pd.concat(tables, ignore_index=True).sort_values("radii", ascending=False, kind="stable")
    return [
        SuspectLabel(
            row=one.row,
            point=one.point,
            label_px=(one.x_px, one.y_px),
            predicted_px=(one.predicted_x_px, one.predicted_y_px),
            radius_px=one.distance_px / one.radii,
            radii=one.radii,
            is_unseen=one.is_unseen,
        )
        for one in both.itertuples()
    ]


def _learned(
    run: Run, images: npt.NDArray[np.uint8], labels_px: npt.NDArray[np.floating], say: Say
) -> "pd.DataFrame":
    """The labels outside their radii on faces that the members have learned from."""
    predicted_px, radii_px = np.empty_like(labels_px), np.empty(labels_px.shape[:2])
    if len(images):
        say(f"{run.path}: comparing the labels of {len(images):,} training faces with predictions")
        ensemble = load_ensemble(run, say)
        words = f"of {len(images):,} training faces predicted"
        tell = TimeLeft(len(images), lambda done: f"{done:,} {words}", say)
        for start in range(0, len(images), _FACES_AT_ONCE):
            some = slice(start, start + _FACES_AT_ONCE)
            predicted_px[some], spread_px = ensemble.predict(images[some])
            radii_px[some] = ensemble.radii_px(spread_px)
            tell(min(start + _FACES_AT_ONCE, len(images)))
    return label_outliers(predicted_px, labels_px, radii_px, 1.0)
