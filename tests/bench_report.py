"""How long the report of a whole ensemble takes: 50 + 50 members with 300 epochs each, written by hand.

make bench-report                     # on the synthetic set
make bench-report DATA=path/to/folder
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from command_line import command

from fkd.data.faces import FaceData
from fkd.data.source import load_data
from fkd.data.synthetic import write_synthetic
from fkd.experiment import load_experiment
from fkd.models.build import build_model
from fkd.provenance import provenance
from fkd.specialists import make_splits
from fkd.store import MemberFolder, Run, open_run, sha256

EPOCHS = 300
COMPETITION_ROWS = 7049


def write_run(store: Path, faces: FaceData) -> Run:
    """The run of ensemble.yaml with members whose predictions are the labels and noise."""
    experiment = load_experiment("ensemble", [f"training.max_epochs={EPOCHS}"])
    run = Run(store / f"{experiment.name}-{faces.name}")
    open_run(run, experiment, provenance(faces))
    splits = make_splits(run, experiment, faces)
    rng = np.random.default_rng(0)
    for specialist, settings in experiment.specialists.items():
        points = experiment.schema_points.indices(settings.keypoints)
        truth_px = faces.training.keypoints[splits[specialist].validation][:, points]
        weights = store / f"{specialist}.weights.h5"
        build_model(experiment.network, len(points), (0,)).save_weights(weights)
        for index in range(settings.members):
            folder = run.member(specialist, index)
            folder.path.mkdir(parents=True)
            folder.best_weights.hardlink_to(weights)
            noise_px = rng.normal(0, 2, truth_px.shape)
            np.save(folder.validation, (truth_px + noise_px).astype(np.float32))
            _write_history(folder, rng)
    return run


def _write_history(folder: MemberFolder, rng: np.random.Generator) -> None:
    epochs = np.arange(1, EPOCHS + 1)
    rmse_px = 1.5 + 9 / np.sqrt(epochs) + rng.normal(0, 0.05, EPOCHS)
    validation_px = 2.5 + 10 / epochs**0.45 + np.abs(rng.normal(0, 0.3, EPOCHS))
    history = {
        "epoch": epochs,
        "images": 4000,
        "learning_rate": 1e-3,
        "loss": (rmse_px / 48) ** 2,
        "validation_loss": (validation_px / 48) ** 2,
        "rmse_px": rmse_px,
        "validation_rmse_px": validation_px,
        "training_seconds": 9.0,
        "seconds": 10.0,
    }
    pd.DataFrame(history).to_csv(folder.history, index=False)
    files = {path.name: sha256(path) for path in (folder.best_weights, folder.validation, folder.history)}
    folder.done.write_text(json.dumps({"epochs": EPOCHS, "saving_seconds": 1.0, "files": files}))


def _time(*arguments: object) -> float:
    """Seconds that a call of fkd takes, Python's start included."""
    started_s = time.monotonic()
    subprocess.run(command(*arguments), check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started_s


def time_explore(folder: Path) -> None:
    """Time `fkd explore` on as many rows as the competition has, from the files and from the cache."""
    write_synthetic(folder / "competition", training_faces=COMPETITION_ROWS, test_faces=1)
    page = folder / "page.html"
    call = ("explore", "--data", folder / "competition", "--output", page)
    cold_s, warm_s = _time(*call), _time(*call)
    print(f"explore {COMPETITION_ROWS:,} rows: {cold_s:.1f} s, {warm_s:.1f} s from the cache")


def time_report(folder: Path, data: str) -> None:
    """Time `fkd report` on a run of 100 members."""
    run = write_run(folder, load_data(data, lambda line: None))
    settings = ("--set", f"training.max_epochs={EPOCHS}")
    seconds = _time("report", "ensemble", "--data", data, "--store", folder, *settings)
    megabytes = run.report.stat().st_size / 1e6
    print(f"report of 100 members with {EPOCHS} epochs on {data}: {seconds:.1f} s, {megabytes:.1f} MB")


def main() -> None:
    """Time both pages in a temporary folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="synthetic")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory() as folder:
        time_explore(Path(folder))
        time_report(Path(folder), data)


if __name__ == "__main__":
    main()
