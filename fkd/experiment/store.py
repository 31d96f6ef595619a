"""The store of runs: every path under `models_store/`, and the guard of a run's identity.

models_store/<experiment>-<data set>/
  experiment.yaml, provenance.json
  <specialist>/split.json
  <specialist>/<member>/{state.npz, state.previous.npz, history.csv, lock.txt,
                         best.weights.h5, validation.npy, done.json}
  selection.json, submission.csv, predictions.png, report.html
"""

import csv
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import yaml

from fkd.core.errors import UserError
from fkd.core.files import atomic_write_bytes, atomic_write_json, sha256
from fkd.experiment.experiment import Experiment, differences
from fkd.experiment.files import validate_experiment
from fkd.experiment.specialists import MemberId

DEFAULT_STORE = Path("models_store")

# Members do not depend on how many there are, nor on where they are trained and how they will be used.
_FREE_TO_CHANGE = ("selection.", "prediction.", "resources.", ".members", ".checkpoint_seconds")


class HistoryColumn(StrEnum):
    """The columns of history.csv, one line an epoch.

    images: how many trained the member in it. loss, rmse_px: on augmented training images, in pixels the
    latter. training_seconds: without the validation, which `seconds` includes. The histories of older runs
    have neither images nor training_seconds.
    """

    EPOCH = "epoch"
    IMAGES = "images"
    LEARNING_RATE = "learning_rate"
    LOSS = "loss"
    VALIDATION_LOSS = "validation_loss"
    RMSE_PX = "rmse_px"
    VALIDATION_RMSE_PX = "validation_rmse_px"
    TRAINING_SECONDS = "training_seconds"
    SECONDS = "seconds"


@dataclass(frozen=True)
class MemberFolder:
    """The files of one member."""

    path: Path

    @property
    def state(self) -> Path:
        """Everything to resume from."""
        return self.path / "state.npz"

    @property
    def previous_state(self) -> Path:
        """The state before that one."""
        return self.path / "state.previous.npz"

    @property
    def best_weights(self) -> Path:
        """Weights of the epoch with the lowest validation error."""
        return self.path / "best.weights.h5"

    @property
    def history(self) -> Path:
        """One line an epoch."""
        return self.path / "history.csv"

    @property
    def validation(self) -> Path:
        """Pixel predictions of the best weights, shape (validation rows, points, 2)."""
        return self.path / "validation.npy"

    @property
    def mirrored_validation(self) -> Path:
        """The same on mirrored pictures, mirrored back; of specialists that have every point's twin."""
        return self.path / "mirrored_validation.npy"

    @property
    def views_validation(self) -> Path:
        """The same in further views, where the experiment asks for them; mirrored, too, where it can be.

        Shape (views - 1, 1 or 2, validation rows, points, 2).
        """
        return self.path / "views_validation.npy"

    @property
    def done(self) -> Path:
        """Written last: the member is finished."""
        return self.path / "done.json"

    @property
    def lock(self) -> Path:
        """Host and process that train the member now."""
        return self.path / "lock.txt"

    @property
    def logs(self) -> Path:
        """TensorBoard events, where asked for."""
        return self.path / "logs"


@dataclass(frozen=True)
class Run:
    """An experiment trained on one data set."""

    path: Path

    @property
    def name(self) -> str:
        """`<experiment>-<data set>`."""
        return self.path.name

    @property
    def experiment(self) -> Path:
        """The experiment as resolved."""
        return self.path / "experiment.yaml"

    @property
    def provenance(self) -> Path:
        """Code, packages and data that made the run."""
        return self.path / "provenance.json"

    @property
    def selection(self) -> Path:
        """The chosen members and the figures that chose them."""
        return self.path / "selection.json"

    @property
    def label_outliers(self) -> Path:
        """Label outliers: labels far from what members predict out-of-sample."""
        return self.path / "far_labels.csv"

    @property
    def submission(self) -> Path:
        """The competition's CSV."""
        return self.path / "submission.csv"

    @property
    def predictions_figure(self) -> Path:
        """Test faces with predicted points."""
        return self.path / "predictions.png"

    @property
    def report(self) -> Path:
        """Figures of the data, the training and the chosen members, as one page."""
        return self.path / "report.html"

    def split(self, specialist: str) -> Path:
        """Row ids of training and validation, the same for every member."""
        return self.path / specialist / "split.json"

    def member(self, specialist: str, index: int) -> MemberFolder:
        """The folder of a specialist's member, e.g. `four/07`."""
        return MemberFolder(self.path / MemberId(specialist, index).name)

    def read_experiment(self) -> Experiment:
        """The experiment as last trained or selected with; raises UserError where there is no such run."""
        if not self.experiment.is_file():
            raise UserError(f"{self.path}: no such run; train it first (fkd train, or make train-ensemble)")
        settings = yaml.safe_load(self.experiment.read_text(encoding="utf-8"))
        return validate_experiment(settings, str(self.experiment))

    def read_data_checksum(self) -> str:
        """The checksum of the data that this run is trained on."""
        return str(json.loads(self.provenance.read_text())["data_checksum"])


def runs_in(store: Path) -> list[Run]:
    """The runs of a store, by name."""
    return [Run(file.parent) for file in sorted(store.glob("*/experiment.yaml"))]


def move_aside(run: Run) -> Path | None:
    """Rename a run's folder by the time of day; returns its new place, None if there is no such run."""
    if not run.path.exists():
        return None
    return run.path.rename(run.path.with_name(f"{run.name}.{datetime.now():%Y%m%d-%H%M%S}"))


def open_run(run: Run, experiment: Experiment, provenance: dict[str, str]) -> None:
    """Create a run or go on with it.

    `provenance` holds at least `data_checksum`. The number of members and the selection may change
    between calls. Raises UserError, listing the differences, when anything else does.
    """
    run.path.mkdir(parents=True, exist_ok=True)
    if run.experiment.exists():
        former = run.read_experiment(), run.read_data_checksum()
        refuse_other_run(str(run.path), *former, experiment, provenance["data_checksum"])
    else:
        atomic_write_json(run.provenance, provenance)
    write_experiment(run, experiment)


def write_experiment(run: Run, experiment: Experiment) -> None:
    """Keep the experiment as it stands now; what may change between calls is that of the last one."""
    settings = yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False)
    atomic_write_bytes(run.experiment, settings.encode())


def refuse_other_run(
    place: str, former: Experiment, former_checksum: str, experiment: Experiment, checksum: str
) -> None:
    """Raise UserError, listing the differences, unless `place` may go on with this experiment and data."""
    changes = trained_otherwise(former, experiment)
    if former_checksum != checksum:
        changes.append(f"data: {former_checksum[:12]} -> {checksum[:12]}")
    if changes:
        raise UserError(
            f"{place}: this run was trained with other settings ({'; '.join(changes)}); "
            "put them back, copy the experiment file to a new name, or move the former run aside "
            "with --fresh (make: FRESH=1)"
        )


def trained_otherwise(former: Experiment, experiment: Experiment) -> list[str]:
    """The differences between two experiments that make their members different, as words."""
    return [
        change
        for change in differences(former, experiment)
        if not any(free in change.partition(": ")[0] for free in _FREE_TO_CHANGE)
    ]


def is_done(folder: MemberFolder) -> bool:
    """Whether a member is finished and its files are whole."""
    return folder.done.exists() and not damaged_files(folder)


def damaged_files(folder: MemberFolder) -> list[str]:
    """Names of a finished member's files that are missing or not as its done.json says."""
    try:
        checksums = json.loads(folder.done.read_text())["files"]
    except (ValueError, KeyError):
        return [folder.done.name]
    files = {folder.path / name: checksum for name, checksum in checksums.items()}
    return [path.name for path, checksum in files.items() if not path.exists() or sha256(path) != checksum]


def read_history(folder: MemberFolder) -> list[dict[str, float]]:
    """The lines of history.csv, by `HistoryColumn`; raises FileNotFoundError where there are none yet."""
    with folder.history.open(newline="") as file:
        return [{name: float(value) for name, value in record.items()} for record in csv.DictReader(file)]
