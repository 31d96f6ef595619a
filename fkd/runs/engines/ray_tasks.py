"""Members trained as tasks of a Ray cluster, one a member, each resuming from the store.

A task that loses its machine is started again by Ray; one that fails by itself ends the training.
"""

import logging
import os
import signal
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fkd.core.errors import UserError, one_line
from fkd.core.interrupt import InterruptedTrainingError, StopRequest, stop_on_signals
from fkd.core.say import Say
from fkd.experiment.experiment import Experiment
from fkd.experiment.resources import Resources
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run, is_done
from fkd.runs.engines.relay import Event, Relay, show
from fkd.runs.job import Job
from fkd.runs.members import train_in_own_process
from fkd.training.device import take_share
from fkd.training.progress import MemberProgress

if TYPE_CHECKING:
    from fkd.runs.remote.remote_store import RemoteStore

# Ray's word for machines that are a cluster of their own: it then listens on the loopback interface alone.
_LOOPBACK_VARIABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_LOOK_EVERY_S = 0.25
_CONNECT_WITHIN_S = 10.0
# Machines that a member may lose before fkd gives it up.
MACHINES_LOST_AT_MOST = 100
_SHARE = "give all machines a shared folder, or the store a URL such as s3://bucket/prefix"
# How long members may take to save when they are asked to stop.
_LAST_SAVES_S = 60.0


@contextmanager
def ray_cluster(address: str | None) -> Iterator[None]:
    """Connect to the cluster at `address`, or that of RAY_ADDRESS; without either start one on this machine.

    Raises UserError where Ray is not installed or does not answer.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray tells its makers nothing
    if not address or address.startswith("127.0.0.1:"):
        os.environ.setdefault(_LOOPBACK_VARIABLE, "0")
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "--engine ray: expected the package ray, found none; install it with: make ray "
            "(pip install --require-hashes -r requirements/ray.txt)"
        ) from error
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if not address:
        settings["include_dashboard"] = False
    try:
        if address and address != "auto":
            _connect_once(address)
        with _same_signal_handlers():
            ray.init(address or "local", **settings)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        complaint = one_line(error).partition(". ")[0]
        raise UserError(
            f"--address {address}: expected a Ray cluster, received: {complaint}; check that it is running "
            "(ray status) and, if it has a token, that this machine has it, too: RAY_AUTH_MODE=token, "
            "~/.ray/auth_token"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _same_signal_handlers() -> Iterator[None]:
    """Keep what signals do, also after Ray has put handlers of its own in their places."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def _connect_once(address: str) -> None:
    """Raise OSError or ValueError where nothing listens at an address; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        raise ValueError("neither auto nor HOST:PORT")
    socket.create_connection((host, int(port)), _CONNECT_WITHIN_S).close()


def describe_cluster() -> str:
    """The machines, cores and GPUs of the connected cluster, in words."""
    import ray

    # Not ray.cluster_resources(), which may hear of a machine later than ray.nodes() does.
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus, gpus = (sum(machine.get(kind, 0.0) for machine in machines) for kind in ("CPU", "GPU"))
    with_gpus = f", {gpus:g} GPU(s)" if gpus else ""
    return f"a Ray cluster of {len(machines)} machine(s), {cpus:g} CPU core(s){with_gpus}"


def member_cpus(resources: Resources) -> int:
    """Cores of a member: as many as this machine has, unless the experiment says how many."""
    return resources.cpus or os.cpu_count() or 1


def task_resources(resources: Resources, say: Say) -> dict[str, float]:
    """What Ray is asked for a member, by Ray's names; what no machine of the cluster has yet is reported."""
    import ray

    cpus = member_cpus(resources)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = resources.gpus if any(node.get("GPU") for node in nodes) else 0.0
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        say(
            f"Waiting for a machine with {cpus} CPU core(s) and {gpus:g} GPU(s): the cluster has none yet; "
            "resources.cpus and resources.gpus say how many a member takes"
        )
    return {"num_cpus": cpus, "num_gpus": gpus}


def train_on_ray(
    job: Job, progress: MemberProgress, stop: StopRequest, remote: "RemoteStore | None" = None
) -> None:
    """Train every member that is not done as a task of the connected cluster.

    remote: where the members come from when they are done, if they are not written to this machine's disk.
    Raises UserError where a member cannot be trained or does not arrive, whatever a task raises that is
    wrong itself, and InterruptedTrainingError when a stop is asked for, after all have saved.
    """
    import ray

    mailbox = _mailbox()
    resources = task_resources(job.experiment.resources, progress.say)
    train = ray.remote(train_member).options(**resources, max_retries=MACHINES_LOST_AT_MOST)
    # The same path everywhere: tasks have other working folders.
    shared = ray.put(replace(job, run=Run(job.run.path.resolve())))
    missing = [member for member in job.members if not is_done(job.run.member(*member))]
    waiting: dict[Any, MemberId] = {}
    try:
        while missing or waiting:
            begin = can_begin(job.experiment, missing, waiting.values())
            waiting |= {train.remote(shared, member, mailbox): member for member in begin}
            missing = [member for member in missing if member not in begin]
            ready, _ = ray.wait(list(waiting), timeout=_LOOK_EVERY_S)
            _show_all(mailbox, progress)
            for task in ready:
                member = waiting.pop(task)
                if _trained(task, member):
                    _bring_here(job, member, remote)
                elif not stop.reason:  # its machine was told to stop, not this one
                    waiting[train.remote(shared, member, mailbox)] = member
            if stop.reason:
                break
    finally:
        _stop_tasks(list(waiting))
        _show_all(mailbox, progress)
    if stop.reason:
        raise InterruptedTrainingError(
            f"{stop.reason}: every member is saved; run the same command again to resume"
        )


def can_begin(
    experiment: Experiment, missing: Sequence[MemberId], running: Iterable[MemberId]
) -> list[MemberId]:
    """Those that continue no missing or running member: while they wait, they would hold their cores."""
    unfinished = {*missing, *running}
    return [member for member in missing if experiment.continued(member) not in unfinished]


def train_member(job: Job, member: MemberId, mailbox: Any) -> bool:
    """What a task does: train one member; False if its machine was asked to stop, and the member is saved.

    mailbox: the actor that takes the member's progress. Raises UserError on a machine that does not see the
    run's folder, and what training a member raises.
    """
    import ray

    with stop_on_signals() as stop:
        if not job.store_url and not job.run.experiment.exists():
            raise UserError(
                f"{ray.util.get_node_ip_address()}: expected to find {job.run.path}, found none; {_SHARE}"
            )
        take_share(member_cpus(job.experiment.resources))
        try:
            train_in_own_process(replace(job, only=[member]), Relay(mailbox.put.remote), stop)
        except InterruptedTrainingError:
            return False
        ray.get(mailbox.take_nothing.remote())  # all that was sent before has arrived
    return True


class _Mailbox:
    """What the tasks tell, until the driver fetches it."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def put(self, event: Event) -> None:
        self._events.append(event)

    def take(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def take_nothing(self) -> None:
        """Answer: an actor answers each caller in the order of its calls."""


def _mailbox() -> Any:
    """A mailbox beside the driver, which ends with it."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(_Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()


def _show_all(mailbox: Any, progress: MemberProgress) -> None:
    import ray

    for event in ray.get(mailbox.take.remote()):
        show(progress, event)


def _trained(task: Any, member: MemberId) -> bool:
    """Whether a task has trained its member; raises as `train_on_ray` does."""
    import ray

    try:
        return bool(ray.get(task))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise UserError(str(error.cause)) from error
        raise
    except ray.exceptions.RayError as error:
        raise UserError(
            f"{member.name}: given up, its machine was lost too often ({type(error).__name__}); "
            "what it had saved is there, run the same command again to resume"
        ) from error


def _bring_here(job: Job, member: MemberId, remote: "RemoteStore | None") -> None:
    folder = job.run.member(*member)
    if remote:
        remote.pull_member(folder)
    if not is_done(folder):
        raise UserError(
            f"{folder.path}: expected the member that another machine has trained, found none; {_SHARE}"
        )


def _stop_tasks(tasks: list[Any]) -> None:
    """Ask tasks to stop, and wait until they have saved."""
    import ray

    for task in tasks:
        ray.cancel(task)
    if tasks:
        ray.wait(tasks, num_returns=len(tasks), timeout=_LAST_SAVES_S)
