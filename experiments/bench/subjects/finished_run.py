"""Tables of a stored run, usually the champion's, or as they were last made where the run is not there.

The training takes long and is not run here: `fkd train champion --data ../shared/data/wild15` runs it.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fkd.core.errors import UserError
from fkd.core.keypoints import label_counts
from fkd.data.faces import Faces
from fkd.data.source import load_data
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import DEFAULT_STORE, Run
from fkd.runs.splits import read_split

CHAMPION, PUBLISHED = "champion", "ensemble"
OURS = (CHAMPION, "student")

# The lines of a table for one specialist.
Lines = Callable[[Run, Experiment, str, Faces], list[dict[str, object]]]


def completely_labelled(run: Run, specialist: str, faces: Faces) -> npt.NDArray[np.bool_]:
    """Which validation rows of a specialist have every label."""
    keypoints_px = faces.keypoints[read_split(run, specialist).validation]
    return label_counts(keypoints_px) == keypoints_px.shape[1]


def stored_run(experiment_name: str, data_folder: Path) -> Run:
    """The run of an experiment on a data set, whether it is there or not."""
    return Run(DEFAULT_STORE / f"{experiment_name}-{data_folder.name}")


def table_of_run(
    file: Path, data_folder: Path, lines: Lines, experiment_name: str = CHAMPION
) -> pd.DataFrame:
    """The lines of all specialists, kept in `file`; raises UserError where there are neither run nor file."""
    run = stored_run(experiment_name, data_folder)
    if run.experiment.is_file():
        experiment, faces = run.read_experiment(), load_data(str(data_folder), lambda line: None).training
        table = pd.DataFrame(
            {"specialist": specialist, **line}
            for specialist in experiment.specialists
            for line in lines(run, experiment, specialist, faces)
        )
        table.to_csv(file, index=False, lineterminator="\n")
        return table
    if not file.is_file():
        raise UserError(
            f"{file}: expected former figures, found neither them nor {run.path}; train it with: "
            f"fkd train {experiment_name} --data ../shared/data/wild15"
        )
    return pd.read_csv(file)
