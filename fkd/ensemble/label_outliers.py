"""Labels that stand far from what networks predict that never saw them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fkd.core.files import atomic_write_bytes
from fkd.data.faces import FaceData
from fkd.ensemble.selection import SelectionReport
from fkd.ensemble.validation import validation_predictions, validation_truth
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.runs.splits import read_split

if TYPE_CHECKING:
    import pandas as pd

# Of a labelled point's distances from the predictions, so many medians are far: one in a hundred on wild15.
FAR_MEDIANS = 5.0

Pixels = npt.NDArray[np.floating]


def far_labels(predictions_px: Pixels, truth_px: Pixels) -> "pd.DataFrame":
    """Labels further from their predictions than FAR_MEDIANS times their point's median distance.

    predictions_px, truth_px: shape (rows, points, 2); NaN where there is no label. Returns the columns row,
    point (positions), distance_px and medians, the furthest for their point first.
    """
    import pandas as pd  # slow to load

    distances_px = np.hypot(*np.moveaxis((predictions_px - truth_px).astype(np.float64), -1, 0))
    labelled_points = np.flatnonzero(np.isfinite(distances_px).any(axis=0))
    medians = np.full(distances_px.shape, np.nan)
    medians[:, labelled_points] = distances_px[:, labelled_points] / np.nanmedian(
        distances_px[:, labelled_points], axis=0
    )
    rows, points = np.nonzero(medians > FAR_MEDIANS)
    found = {"row": rows, "point": points, "distance_px": distances_px[rows, points]}
    table = pd.DataFrame(found | {"medians": medians[rows, points]})
    return table.sort_values("medians", ascending=False, kind="stable", ignore_index=True)


def list_far_labels(
    run: Run, experiment: Experiment, faces: FaceData, reports: Sequence[SelectionReport]
) -> int:
    """Write the far labels of all specialists' validation rows into the run; returns how many there are.

    Rows are those of the training data; coordinates in pixels, as labelled and as the chosen members predict.
    """
    import pandas as pd  # slow to load

    tables = []
    for report in reports:
        split, points = read_split(run, report.specialist), experiment.point_indices(report.specialist)
        predictions_px = validation_predictions(
            run, experiment, report.specialist, report.chosen, faces.training
        )
        average_px = predictions_px.mean(axis=0, dtype=np.float64)
        truth_px = validation_truth(run, experiment, report.specialist, faces.training)
        table = far_labels(average_px, truth_px)
        places = table["row"].to_numpy(), table.pop("point").to_numpy()
        table.insert(1, "keypoint", np.array(faces.point_names)[points[places[1]]])
        for prefix, pixels in (("", truth_px), ("predicted_", average_px)):
            table[f"{prefix}x_px"], table[f"{prefix}y_px"] = pixels[places].T
        table["row"] = split.validation[places[0]]
        tables.append(table)
    found = pd.concat(tables, ignore_index=True).sort_values("medians", ascending=False, kind="stable")
    text = found.to_csv(index=False, float_format="%.2f", lineterminator="\n")
    atomic_write_bytes(run.far_labels, text.encode())
    return len(found)
