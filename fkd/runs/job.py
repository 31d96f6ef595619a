"""What is to be trained in a run, as it is handed to whatever trains it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fkd.data.faces import Faces
from fkd.experiment.experiment import Experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run
from fkd.runs.splits import Split


@dataclass(frozen=True, kw_only=True)
class Job:
    """Members to be trained, and all that decides how; every process that shares them has the same.

    faces: all training faces; splits: their rows by specialist. test: the test images, which train where a
    split says so. store_url: the remote store, if there is one.
    tensorboard: whether epochs are logged there, too. members_at_once: how many members of a kind share one
    step; they do not depend on it. only: the members that are wanted, none for all.
    """

    run: Run
    experiment: Experiment
    faces: Faces
    splits: Mapping[str, Split]
    test: Faces
    store_url: str | None = None
    tensorboard: bool = False
    members_at_once: int = 1
    only: Sequence[MemberId] = ()

    @property
    def members(self) -> Sequence[MemberId]:
        """The wanted members, in the order of their training."""
        return self.only or self.experiment.members

    @property
    def images_per_epoch(self) -> dict[str, int]:
        """How many images train a specialist in an epoch."""
        return {name: split.images_per_epoch for name, split in self.splits.items()}

    @property
    def max_epochs(self) -> dict[str, int]:
        """The epochs after which a specialist's members end at the latest."""
        of_specialist = self.experiment.of_specialist
        images = self.images_per_epoch
        return {name: of_specialist(name).epochs_at_most(count) for name, count in images.items()}
