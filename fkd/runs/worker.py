"""Training members in a process of its own, for the process that shows and counts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fkd.core.interrupt import StopRequest
from fkd.data.faces import Faces
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.runs.members import train_members
from fkd.runs.remote.remote_store import RemoteStore
from fkd.runs.remote.session import remote_session
from fkd.runs.splits import Split
from fkd.training.device import prepare_device
from fkd.training.progress import MemberProgress


@dataclass(frozen=True)
class Work:
    """What every worker of a run is given.

    faces: all training faces; splits: their rows by specialist. store_folder: where runs stand, the same path
    for all workers; store_url: the remote store, if there is one.
    """

    run: Run
    experiment: Experiment
    faces: Faces
    splits: Mapping[str, Split]
    store_folder: Path
    store_url: str | None
    tensorboard: bool = False
    at_once: int = 1


def work_on(
    work: Work, progress: MemberProgress, stop: StopRequest, only: Sequence[tuple[str, int]] = ()
) -> None:
    """Train members, all or only these, in a process of their own; raises what `train_members` raises."""
    prepare_device(work.experiment.training)
    with remote_session(work.store_url, work.store_folder, work.run, progress.say) as remote:
        train_here(work, remote, progress, stop, only)


def train_here(
    work: Work,
    remote: RemoteStore | None,
    progress: MemberProgress,
    stop: StopRequest,
    only: Sequence[tuple[str, int]] = (),
) -> None:
    """Train members, all or only these, where device and remote store are open; as `train_members` does."""
    train_members(
        work.run,
        work.experiment,
        work.faces,
        work.splits,
        progress,
        stop,
        remote,
        work.tensorboard,
        work.at_once,
        only,
    )
