"""Runs on IMM's studio photos, on which no experiment trains: what helps on one camera, and not on others.

Nothing is chosen by these figures.
"""

from pathlib import Path

import pandas as pd

from experiments.bench.conditions import REPOSITORY
from experiments.bench.subjects.face_sets import root_mean_square
from experiments.bench.subjects.finished_run import OURS, stored_run
from experiments.bench.subjects.labelled_photos import found_faces, imm_photos, without_offsets
from fkd import load
from fkd.core.errors import UserError
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run
from fkd.report.comparison_file import load_comparison

_COMPARISON = REPOSITORY / "experiments/comparisons/pixel-changes.yaml"


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """The error of every run that is there: the champion, the student, the champion's changes of pixels."""
    faces, truth_px, persons = found_faces(imm_photos())
    lines = []
    for name, run in _runs(data_folder).items():
        try:
            ensemble = load(run.path)
        except UserError as error:
            print(f"{name}: left out: {error}", flush=True)
            continue
        errors_px = ensemble.predict(faces)[0] - truth_px
        without_px = without_offsets(errors_px, persons)
        lines.append(
            {
                "run": name,
                "RMSE px": root_mean_square(errors_px),
                "offsets removed": root_mean_square(without_px),
            }
        )
    return {f"Runs on IMM's {len(faces)} faces": pd.DataFrame(lines)}


def _runs(data_folder: Path) -> dict[str, Run]:
    names = {name: name for name in OURS}
    for table in load_comparison(_COMPARISON).tables:
        names |= {row.system: f"comparison/{load_experiment(row.experiment).name}" for row in table.rows}
    return {system: stored_run(name, data_folder) for system, name in names.items()}
