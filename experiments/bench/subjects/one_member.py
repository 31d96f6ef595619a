"""One member of the published ensemble, prepared as `fkd train` prepares it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from experiments.bench.rows import seconds
from fkd.data.faces import Faces
from fkd.data.source import load_data
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run
from fkd.runs.progress import Progress
from fkd.runs.splits import make_splits
from fkd.runs.status import MemberStatus
from fkd.training.augment import Batches
from fkd.training.batches import member_batches
from fkd.training.compiled_step import Layout
from fkd.training.device import augmenting_threads
from fkd.training.member_task import MemberTask
from fkd.training.member_training import MemberTraining
from fkd.training.network_pool import NetworkPool


@dataclass(frozen=True)
class Published:
    """A specialist of ensemble.yaml with some of its rows."""

    experiment: Experiment
    specialist: str
    training: Faces
    validation: Faces

    def pool(self, layout: Layout = "unrolled") -> NetworkPool:
        """A pool in which nothing is compiled yet."""
        return NetworkPool(self.experiment, self.specialist, len(self.training.ids), layout)

    def task(self, index: int) -> MemberTask:
        """What the member of this number learns from."""
        batches = member_batches(self.experiment, self.specialist, self.training)[index]
        return MemberTask(self.experiment, MemberId(self.specialist, index), batches, self.validation)

    def start(
        self, index: int, pool: NetworkPool, store: Path, task: MemberTask | None = None
    ) -> MemberTraining:
        """A member's training in an empty store, which says nothing; task: in place of its own."""
        task, images = task or self.task(index), {self.specialist: len(self.training.ids)}
        epochs = {self.specialist: self.experiment.training.max_epochs}
        progress = Progress([MemberStatus(task.name, "waiting")], images, epochs, Console(quiet=True))
        folder = Run(store).member(self.specialist, index)
        folder.path.mkdir(parents=True)
        return MemberTraining(
            task,
            folder,
            pool,
            progress,
            why_stop=lambda: None,
            on_saved=lambda folder: None,
            unsaved=set(),
            augmenting_threads=augmenting_threads(),
        )


def augmented_per_s(batches: Batches, number: int) -> float:
    """Images a second of the first batches of an epoch, made by a single thread."""
    return number * batches.batch_size / seconds(lambda: [batches(0, index) for index in range(number)])


def published(
    data_folder: Path,
    *settings: str,
    specialist: str = "four",
    training_rows: int | None = None,
    validation_rows: int | None = None,
) -> Published:
    """The specialist with its first rows; None for all. settings: `key=value` put over ensemble.yaml."""
    experiment = load_experiment("ensemble", settings)
    data = load_data(str(data_folder), lambda line: None)
    with tempfile.TemporaryDirectory() as run:
        split = make_splits(Run(Path(run)), experiment, data)[specialist]
    training = data.training.take(split.training[:training_rows])
    return Published(experiment, specialist, training, data.training.take(split.validation[:validation_rows]))
