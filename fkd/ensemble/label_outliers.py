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


def label_outliers(predictions_px: Array, truth_px: Array, radii_px: Array) -> "pd.DataFrame":
    """Labels further from their predictions than OUTLIER_RADII radii.

    predictions_px, truth_px: shape (rows, points, 2); NaN where there is no label. radii_px: shape (rows,
    points), NaN where there is none. Returns the columns row, point (positions), distance_px and radii, the
    furthest by its radius first.
    """
    import pandas as pd  # slow to load

    distances = distances_px(predictions_px, truth_px)
    radii = distances / radii_px
    rows, points = np.nonzero(radii > OUTLIER_RADII)
    found = {"row": rows, "point": points, "distance_px": distances[rows, points]}
    table = pd.DataFrame(found | {"radii": radii[rows, points]})
    return table.sort_values("radii", ascending=False, kind="stable", ignore_index=True)


def list_label_outliers(
    run: Run, validations: Mapping[str, Validation], faces: FaceData, reports: Sequence[SelectionReport]
) -> int:
    """Write the label outliers of all specialists' validation rows into the run; returns how many there are.

    Rows are those of the training data; coordinates in pixels, as labelled and as the chosen members predict.
    """
    import pandas as pd  # slow to load

    tables = []
    for report in reports:
        validation = validations[report.specialist]
        average_px = validation.average_px(report.chosen)
        table = label_outliers(average_px, validation.truth_px, validation.cross_fitted_radii.radii_px)
        places = table["row"].to_numpy(), table.pop("point").to_numpy()
        table.insert(1, "keypoint", np.array(faces.point_names)[validation.points[places[1]]])
        for prefix, pixels in (("", validation.truth_px), ("predicted_", average_px)):
            table[f"{prefix}x_px"], table[f"{prefix}y_px"] = pixels[places].T
        table["row"] = validation.split.validation[places[0]]
        tables.append(table)
    found = pd.concat(tables, ignore_index=True).sort_values("radii", ascending=False, kind="stable")
    text = found.to_csv(index=False, float_format="%.2f", lineterminator="\n")
    atomic_write_bytes(run.label_outliers, text.encode())
    return len(found)
