"""A finished run written by hand: members whose predictions are the labels and noise."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from fkd.core.files import sha256
from fkd.data.faces import FaceData
from fkd.ensemble.validation import read_validation
from fkd.experiment.files import load_experiment
from fkd.experiment.store import MemberFolder, Run, open_run
from fkd.runs.provenance import provenance
from fkd.runs.splits import make_splits

EPOCHS = 300


def write_run(store: Path, faces: FaceData, members: int = 100) -> Run:
    """The run of ensemble.yaml with half of the members in each specialist and EPOCHS epochs in each."""
    from fkd.training.networks.build import build_model  # loads Keras

    experiment = load_experiment("ensemble", run_settings(members))
    run = Run(store / f"{experiment.name}-{faces.name}")
    open_run(run, experiment, provenance(faces))
    make_splits(run, experiment, faces)
    rng = np.random.default_rng(0)
    for specialist, settings in experiment.specialists.items():
        truth_px = read_validation(run, experiment, specialist, faces.training).truth_px
        weights = store / f"{specialist}.weights.h5"
        build_model(experiment.network, truth_px.shape[1], (0,)).save_weights(weights)
        for index in range(settings.members):
            folder = run.member(specialist, index)
            folder.path.mkdir(parents=True)
            folder.best_weights.hardlink_to(weights)
            noise_px = rng.normal(0, 2, truth_px.shape)
            np.save(folder.validation, (truth_px + noise_px).astype(np.float32))
            _write_history(folder, rng)
        weights.unlink()
    return run


def run_settings(members: int) -> list[str]:
    """What such a run puts over ensemble.yaml, as `key=value`."""
    sizes = [f"specialists.{specialist}.members={members // 2}" for specialist in ("four", "eleven")]
    return [f"training.max_epochs={EPOCHS}", *sizes]


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
