"""How long the report of a whole ensemble takes: 50 + 50 members with 300 epochs each, written by hand.

make bench-report                     # on the synthetic set
make bench-report DATA=path/to/folder
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from command_line import command

from fkd.data.faces import FaceData
from fkd.data.source import load_data
from fkd.experiment import load_experiment
from fkd.models.build import build_model
from fkd.provenance import provenance
from fkd.specialists import make_splits
from fkd.store import MemberFolder, Run, open_run, sha256

EPOCHS = 300


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


def main() -> None:
    """Write the run into a temporary store and time `fkd report` on it, Python's start included."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="synthetic")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder), load_data(data))
        settings = ("--set", f"training.max_epochs={EPOCHS}")
        call = command("report", "ensemble", "--data", data, "--store", folder, *settings)
        started_s = time.monotonic()
        subprocess.run(call, check=True, stdout=sys.stderr)
        seconds, megabytes = time.monotonic() - started_s, run.report.stat().st_size / 1e6
    print(f"report of 100 members with {EPOCHS} epochs on {data}: {seconds:.1f} s, {megabytes:.1f} MB")


if __name__ == "__main__":
    main()
