"""What a verb works on: an experiment, data, and the store of their run."""

from dataclasses import dataclass
from pathlib import Path

from fkd.data.source import name_data
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import DEFAULT_STORE, Run


@dataclass(frozen=True)
class Request:
    """What a verb works on.

    experiment: a file's name, None for the data set's usual one. data: `auto`, `kaggle`, `synthetic` or a
    folder. settings: `key=value` overrides of the experiment file. store: a folder, or the URL of a remote
    store whose working copy is in the usual folder.
    """

    experiment: str | None = None
    data: str = "auto"
    settings: tuple[str, ...] = ()
    store: str = str(DEFAULT_STORE)

    @property
    def store_url(self) -> str | None:
        """The remote store, if there is one."""
        return self.store if "://" in self.store else None

    @property
    def store_folder(self) -> Path:
        """Where runs are kept on this machine."""
        return DEFAULT_STORE if self.store_url else Path(self.store)

    def resolve(self) -> tuple[Experiment, Run]:
        """The experiment, and where its run on the data set is or will be."""
        experiment = load_experiment(self.experiment_name, self.settings)
        return experiment, Run(self.store_folder / f"{experiment.name}-{name_data(self.data)}")

    @property
    def experiment_name(self) -> str:
        """The experiment's name or path, the usual one for the data if none is asked for."""
        return self.experiment or ("quick" if name_data(self.data) == "synthetic" else "ensemble")
