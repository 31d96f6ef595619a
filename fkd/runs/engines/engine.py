"""Where members are trained: in this process, side by side in several, or on a Ray cluster."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fkd.core.errors import UserError
from fkd.core.interrupt import StopRequest
from fkd.experiment.experiment import Experiment
from fkd.experiment.resources import Resources
from fkd.runs.engines.processes import shares, train_in_processes
from fkd.runs.job import Job
from fkd.training.progress import MemberProgress

if TYPE_CHECKING:
    from fkd.runs.remote.remote_store import RemoteStore

Train = Callable[[Job, MemberProgress, StopRequest, "RemoteStore | None"], None]


@dataclass(frozen=True)
class Engine:
    """What trains the members; raises UserError for what does not go together.

    processes: how many train side by side. members_at_once: how many members share one step of a process.
    address: of the Ray cluster, None for the usual one.
    """

    name: Literal["local", "ray"] = "local"
    processes: int = 1
    members_at_once: int = 1
    address: str | None = None

    def __post_init__(self) -> None:
        if self.name == "local" and self.address:
            raise UserError(
                "--address: expected with --engine ray, received with --engine local; add that one"
            )
        if self.name == "ray" and (self.processes > 1 or self.members_at_once > 1):
            raise UserError(
                "--jobs and --at-once: expected with --engine local, received with --engine ray; there "
                "resources.cpus and resources.gpus tell how many members a machine trains"
            )


# One member after another, in this process.
HERE = Engine()


def claim_devices(engine: Engine, resources: Resources) -> None:
    """Take this process' share of the machine, before it computes anything: none where others train."""
    from fkd.training.device import hide_gpus, take_share  # loads Keras

    if engine.name == "ray" or engine.processes > 1:
        hide_gpus()
    else:
        take_share(resources.cpus)


@contextmanager
def opened(engine: Engine, experiment: Experiment) -> Iterator[tuple[str, Train]]:
    """What trains, in words, and the function that does; raises UserError where it cannot be obtained."""
    claim_devices(engine, experiment.resources)
    if engine.name == "ray":
        from fkd.runs.engines.ray_tasks import describe_cluster, ray_cluster, train_on_ray

        with ray_cluster(engine.address):
            yield describe_cluster(), train_on_ray
    elif engine.processes > 1:
        from fkd.training.device import cuda_devices, precision_note

        parts = shares(engine.processes, experiment.resources.cpus, os.cpu_count() or 1, cuda_devices())
        gpus = len({part.gpu for part in parts if part.gpu is not None})
        on = f"{gpus} GPU(s)" if gpus else f"the CPU{precision_note(experiment.training.precision)}"
        where = f"{engine.processes} processes of {parts[0].cpus} thread(s) on {on}"
        yield where, lambda job, progress, stop, remote: train_in_processes(job, parts, progress, stop)
    else:
        from fkd.runs.members import train_members
        from fkd.training.device import prepare_device

        yield prepare_device(experiment.training), train_members
