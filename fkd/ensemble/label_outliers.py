"""Label outliers: labels that lie far outside the radius of an out-of-sample prediction."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fkd.core.files import atomic_write_bytes
from fkd.core.metrics import distances_px
from fkd.data.faces import FaceData
from fkd.ensemble.selection import SelectionReport
from fkd.ensemble.validation import Validation
from fkd.experiment.store import Run

if TYPE_CHECKING:
    import pandas as pd

# In radii, which hold nine labels of ten; so a label on a hard face, where all members differ, is none.
OUTLIER_RADII = 2.0

Array = npt.NDArray[np.floating]
Validations = Mapping[str, Validation]


def label_outliers(
    predictions_px: Array, truth_px: Array, radii_px: Array, least_radii: float = OUTLIER_RADII
) -> "pd.DataFrame":
    """Labels further from their predictions than so many radii.

    predictions_px, truth_px: shape (rows, points, 2); NaN where there is no label. radii_px: shape (rows,
    points), NaN where there is none. Returns the columns row, point (positions), distance_px, radii, and the
    coordinates x_px, y_px, predicted_x_px and predicted_y_px; the furthest by its radius first.
    """
    import pandas as pd  # slow to load

    distances = distances_px(predictions_px, truth_px)
    radii = distances / radii_px
    places = rows, points = np.nonzero(radii > least_radii)
    table = pd.DataFrame(
        {"row": rows, "point": points, "distance_px": distances[places], "radii": radii[places]}
    )
    for prefix, pixels in (("", truth_px), ("predicted_", predictions_px)):
        table[f"{prefix}x_px"], table[f"{prefix}y_px"] = pixels[places].T
    return table.sort_values("radii", ascending=False, kind="stable", ignore_index=True)


def list_label_outliers(
    run: Run, validations: Validations, faces: FaceData, reports: Sequence[SelectionReport]
) -> int:
    """Write the label outliers of all specialists' validation rows into the run; returns how many there are.

    Rows are those of the training data; coordinates in pixels, as labelled and as the chosen members predict.
    """
    found = validated_outliers(validations, reports, OUTLIER_RADII)
    found.insert(1, "keypoint", np.array(faces.point_names)[found.pop("point")])
    text = found.to_csv(index=False, float_format="%.2f", lineterminator="\n")
    atomic_write_bytes(run.label_outliers, text.encode())
    return len(found)


def validated_outliers(
    validations: Validations, reports: Sequence[SelectionReport], least_radii: float
) -> "pd.DataFrame":
    """The label outliers of all specialists' validation rows, with their coordinates."""
    import pandas as pd  # slow to load

    tables = []
    for report in reports:
        validation = validations[report.specialist]
        average_px = validation.average_px(report.chosen)
        radii_px = validation.cross_fitted_radii.radii_px
        table = label_outliers(average_px, validation.truth_px, radii_px, least_radii)
        table["row"] = validation.split.validation[table["row"]]
        table["point"] = validation.points[table["point"]]
        tables.append(table)
    return pd.concat(tables, ignore_index=True).sort_values("radii", ascending=False, kind="stable")
