"""The store of runs: every path under `models_store/`, and the guard of a run's identity.

models_store/<experiment>-<data set>/
  experiment.yaml, provenance.json
  <specialist>/split.json
  <specialist>/<member>/{state.npz, state.previous.npz, history.csv, lock.txt,
                         best.weights.h5, validation.npy, done.json}
  selection.json, radii.json, members.onnx and .json
  submission.csv and .json, predictions.png, report.html
"""

import csv
import hashlib
import io
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import yaml

from fkd.core.errors import UserError, one_line
from fkd.core.files import atomic_write_bytes, is_there, read_regular, sha256
from fkd.core.say import Say
from fkd.experiment.experiment import Experiment, differences
from fkd.experiment.files import validate_experiment
from fkd.experiment.records import (
    DamagedRecordError,
    DoneRecord,
    Provenance,
    damaged,
    read_record,
    write_record,
)
from fkd.experiment.settings import settings_of
from fkd.experiment.specialists import MemberId
from fkd.experiment.yaml_reading import MOST_BYTES

DEFAULT_STORE = Path("models_store")

# Members do not depend on how many there are, nor on where they are trained and how they will be used.
_FREE_TO_CHANGE = ("selection.", "prediction.", "resources.", ".members", ".checkpoint_seconds")

# The first line of a run's experiment.yaml; those of earlier versions have none.
_CHECKSUM_COMMENT = "# SHA-256 of the lines below: "
_MOST_HISTORY_BYTES = 2**26  # no training's comes near it

_EXPERIMENT_WAY_OUT = (
    "put it back from a backup or the remote store; or, if you ask for the experiment that the run was "
    "trained with, remove it, and fkd train writes it anew"
)


class HistoryColumn(StrEnum):
    """The columns of history.csv, one line an epoch.

    images: how many trained the member in it. loss, rmse_px: on augmented training images, the latter in
    pixels. training_seconds: without the validation, which `seconds` includes. The histories of older runs
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


_ALWAYS_RECORDED = {HistoryColumn.VALIDATION_RMSE_PX, HistoryColumn.SECONDS}


@dataclass(frozen=True)
class MemberFolder:
    """The files of one member."""

    path: Path

    @property
    def name(self) -> str:
        """`<specialist>/<index>`, such as `four/07`."""
        return f"{self.path.parent.name}/{self.path.name}"

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
    def radii(self) -> Path:
        """How far off the chosen members' points may be."""
        return self.path / "radii.json"

    @property
    def members_graph(self) -> Path:
        """The chosen members as one graph, where ONNX Runtime predicts."""
        return self.path / "members.onnx"

    @property
    def members_graph_record(self) -> Path:
        """What the graph was made of."""
        return self.members_graph.with_suffix(".json")

    @property
    def label_outliers(self) -> Path:
        """Label outliers: labels far from what members predict out-of-sample."""
        return self.path / "far_labels.csv"

    @property
    def submission(self) -> Path:
        """The competition's CSV."""
        return self.path / "submission.csv"

    @property
    def submission_record(self) -> Path:
        """The checksum of the competition's CSV, as it was written."""
        return self.submission.with_suffix(".json")

    @property
    def kaggle_record(self) -> Path:
        """Kaggle's scores of the last submission that was uploaded."""
        return self.path / "kaggle.json"

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
        """The experiment as last trained or selected with.

        Raises UserError where there is no such run, and DamagedRecordError where it is not as it was written.
        """
        if not is_there(self.experiment):
            raise UserError(f"{self.path}: no such run; train it first (fkd train, or make train-ensemble)")
        try:
            content = read_regular(self.experiment, MOST_BYTES)
        except ValueError as error:
            raise DamagedRecordError(
                f"{self.experiment}: expected an experiment, received {error}; {_EXPERIMENT_WAY_OUT}"
            ) from error
        return parse_experiment(content, str(self.experiment))

    def read_provenance(self) -> dict[str, str]:
        """Versions by name, the data's name and `data_checksum`; raises DamagedRecordError."""
        provenance = read_record(self.provenance, Provenance)
        return {**(provenance.model_extra or {}), "data_checksum": provenance.data_checksum}

    def read_data_checksum(self) -> str:
        """The checksum of the data that this run is trained on; raises DamagedRecordError."""
        return self.read_provenance()["data_checksum"]

    @property
    def has_members(self) -> bool:
        """Whether any member has been saved."""
        return any(path.name in ("state.npz", "done.json") for path in self.path.glob("*/*/*"))


def runs_in(store: Path) -> list[Run]:
    """The runs of a store, by name."""
    return [run for run in map(Run, sorted(store.glob("*"))) if is_there(run.experiment)]


def move_aside(run: Run) -> Path | None:
    """Rename a run's folder by the time of day; returns its new place, None if there is no such run."""
    if not run.path.exists():
        return None
    return run.path.rename(run.path.with_name(f"{run.name}.{datetime.now():%Y%m%d-%H%M%S}"))


def open_run(run: Run, experiment: Experiment, provenance: dict[str, str], say: Say = print) -> None:
    """Create a run or continue it.

    `provenance` holds at least `data_checksum`. The number of members and the selection may change
    between calls. Raises UserError, listing the differences, when anything else does. Of experiment and
    provenance, one that is missing where members have been trained is written anew and reported.
    """
    run.path.mkdir(parents=True, exist_ok=True)
    checksum, begun = provenance["data_checksum"], run.has_members
    former = run.read_experiment() if is_there(run.experiment) else None
    former_checksum = run.read_data_checksum() if is_there(run.provenance) and (former or begun) else None
    refuse_other_run(str(run.path), former or experiment, former_checksum or checksum, experiment, checksum)
    if former_checksum is None:
        if former or begun:
            say(f"{run.provenance}: missing; written anew for the data of checksum {checksum[:12]}")
        write_record(run.provenance, Provenance(**provenance))
    if former is None and begun:
        say(f"{run.experiment}: missing; written anew as asked for now")
    write_experiment(run, experiment)


def write_experiment(run: Run, experiment: Experiment) -> None:
    """Keep the experiment as it stands now; what may change between calls is that of the last one."""
    settings = yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False).encode()
    digest = hashlib.sha256(settings).hexdigest()
    atomic_write_bytes(run.experiment, f"{_CHECKSUM_COMMENT}{digest}\n".encode() + settings)


def parse_experiment(content: bytes, place: str) -> Experiment:
    """The experiment of a run from its file's content; raises DamagedRecordError, naming `place`."""
    first, _, rest = content.partition(b"\n")
    comment = _CHECKSUM_COMMENT.encode()
    if first.startswith(comment) and first != comment + hashlib.sha256(rest).hexdigest().encode():
        raise DamagedRecordError(
            f"{place}: expected an experiment as fkd wrote it, received contents that do not match the "
            f"checksum in the first line; {_EXPERIMENT_WAY_OUT}"
        )
    try:
        return validate_experiment(settings_of(content, place), place)
    except UserError as error:
        raise DamagedRecordError(f"{error}; {_EXPERIMENT_WAY_OUT}") from error


def refuse_other_run(
    place: str, former: Experiment, former_checksum: str, experiment: Experiment, checksum: str
) -> None:
    """Raise UserError, listing the differences, unless `place` may continue with this experiment and data."""
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
    return is_there(folder.done) and not damaged_files(folder)


def read_done(folder: MemberFolder) -> DoneRecord:
    """The record of a finished member; raises DamagedRecordError, also where it is another member's."""
    return of_member(folder, read_record(folder.done, DoneRecord), str(folder.done))


def of_member(folder: MemberFolder, done: DoneRecord, place: str) -> DoneRecord:
    """The record itself; raises DamagedRecordError, naming `place`, where it is another member's."""
    if done.member not in (None, folder.name):
        raise damaged(place, DoneRecord, f"that of {done.member}")
    return done


def damaged_files(folder: MemberFolder) -> list[str]:
    """Names of a finished member's files that are missing or not as its done.json says."""
    try:
        checksums = read_done(folder).files
    except DamagedRecordError:
        return [folder.done.name]
    files = {folder.path / name: checksum for name, checksum in checksums.items()}
    return [path.name for path, checksum in files.items() if not has_checksum(path, checksum)]


def has_checksum(path: Path, checksum: str) -> bool:
    """Whether a path is a regular file with this SHA-256."""
    return path.is_file() and sha256(path) == checksum


def read_history(folder: MemberFolder, columns: Collection[str] | None = None) -> list[dict[str, float]]:
    """The lines of history.csv, by `HistoryColumn`; columns: those that are wanted, None for all.

    Raises FileNotFoundError where there are none yet, and DamagedRecordError for another file.
    """
    try:
        text = read_regular(folder.history, _MOST_HISTORY_BYTES).decode()
        header, *lines = csv.reader(io.StringIO(text, newline=""))
        if not set(header) >= _ALWAYS_RECORDED:
            raise ValueError("line 1")
        wanted = [(i, name) for i, name in enumerate(header) if columns is None or name in columns]
        epoch, records = header.index(HistoryColumn.EPOCH), []
        for number, line in enumerate(lines, start=1):
            if len(line) != len(header) or float(line[epoch]) != number:
                raise ValueError(f"line {number + 1}")
            records.append({name: float(line[i]) for i, name in wanted})
        if not records:
            raise ValueError("no epochs")
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise DamagedRecordError(
            f"{folder.history}: expected one line an epoch, received another file ({one_line(error)}); "
            f"{DoneRecord.way_out}"
        ) from error
    return records
