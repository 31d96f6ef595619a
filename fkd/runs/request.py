"""What a verb works on: an experiment, data, and the store of their run."""

from dataclasses import dataclass
from pathlib import Path

from fkd.core.errors import UserError
from fkd.core.say import Say
from fkd.data.source import name_data
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import DEFAULT_STORE, Run, move_aside
from fkd.runs.locks import members_in_training


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

    @property
    def make_words(self) -> str:
        """What follows make's target to ask for the same, with a space in front; "" for the usual."""
        store = str(DEFAULT_STORE)
        words = {
            "EXPERIMENT": self.experiment,
            "DATA": self.data if self.data != "auto" else None,
            "STORE": self.store if self.store != store else None,
        }
        return "".join(f" {name}={value}" for name, value in words.items() if value)


def make_room(request: Request, run: Run, say: Say) -> None:
    """Move a former run aside, for a fresh one; raises UserError while the former one is being trained."""
    if request.store_url:
        raise UserError(f"--fresh: {request.store} keeps its runs; name another prefix to train anew")
    if not run.path.exists():
        return
    if busy := members_in_training(run):
        raise UserError(f"--fresh: {run.path}: {', '.join(busy)} is being trained; stop that process first")
    say(f"{run.path}: the former run, moved aside to {move_aside(run)}; rename it back to return to it")
