"""Members side by side and on Ray: throughput, overhead a member, and what many workers would cost."""

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

import pandas as pd

from experiments.bench.subjects.command import fkd_seconds
from fkd.data.source import load_data
from fkd.experiment.files import load_experiment
from fkd.experiment.store import MemberFolder, read_history

EXPERIMENT, SPECIALIST, EPOCHS = "passes/published", "eleven", 4
FEW, MORE = 2, 6  # members; their difference tells what one costs, what is left is starting up
WORKERS = (1, 2, 4, 8, 16, 32, 64)
MEMBERS = 100
PUBLISHED_IMAGES = 768_184  # of the published eleven-point network at its early stop (see Fewer passes)
DOLLARS_PER_CORE_HOUR = 0.01  # about what clouds ask for a spot core; put yours here


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Throughput of each way to train members, and the cost of MEMBERS of them on up to 64 Ray workers."""
    with tempfile.TemporaryDirectory(prefix="fkd-bench-") as place:
        ways = [
            _way("one process, all cores", data_folder, Path(place) / "one", 1),
            _way("two processes of one core", data_folder, Path(place) / "two", 2, "--jobs", 2),
        ]
        for workers, name in ((1, "Ray, one worker of one core"), (2, "Ray, two workers of one core")):
            with _ray_nodes(workers) as address:
                ray = ("--engine", "ray", "--address", address)
                ways.append(_way(name, data_folder, Path(place) / f"ray-{workers}", workers, *ray))
        state_bytes = next(Path(place).rglob("state.npz")).stat().st_size
    training = load_data(str(data_folder), lambda line: None).training
    data_mb = (training.images.nbytes + training.keypoints.nbytes) / 1e6
    costs = pd.DataFrame(_cost(workers, ways[-2], state_bytes, data_mb) for workers in WORKERS)
    title = f"{MEMBERS} members of the published eleven-point network on Ray workers of one core, computed"
    return {"Members side by side": pd.DataFrame(ways), title: costs}


def _way(name: str, data_folder: Path, place: Path, workers: int, *options: object) -> dict[str, str | float]:
    """Throughput, start-up and overhead a member, from trainings of FEW and of MORE members."""
    cpus = () if workers == 1 and not options else ("--set", "resources.cpus=1")
    walls_s = {}
    for count in (FEW, MORE):
        settings = [f"specialists.{SPECIALIST}.members={count}", f"training.max_epochs={EPOCHS}"]
        sets = [word for setting in settings for word in ("--set", setting)]
        store = ("--store", place / str(count))
        walls_s[count] = fkd_seconds(
            "train", EXPERIMENT, "--data", data_folder, *store, *sets, *cpus, *options
        )
    members = (MemberFolder(path) for path in place.glob(f"{MORE}/*/{SPECIALIST}/[0-9]*"))
    histories = [read_history(member) for member in members]
    training_s = mean(sum(record["seconds"] for record in history) for history in histories)
    images = sum(record["images"] for record in histories[0])
    member_s = (walls_s[MORE] - walls_s[FEW]) / (MORE - FEW)
    return {
        "way": name,
        "images/s": round(images / member_s),
        "a worker's images/s": round(images / training_s),
        "start-up s": round(walls_s[FEW] - FEW * member_s, 1),
        "overhead a member s": round(member_s * workers - training_s, 1),
    }


def _cost(
    workers: int, way: dict[str, str | float], state_bytes: int, data_mb: float
) -> dict[str, str | float]:
    """Minutes and dollars of MEMBERS published members, each worker as fast as the one that was measured."""
    training_s = PUBLISHED_IMAGES / float(way["a worker's images/s"])
    member_min = (training_s + float(way["overhead a member s"])) / 60
    minutes = float(way["start-up s"]) / 60 + math.ceil(MEMBERS / workers) * member_min
    busy = MEMBERS * member_min / (workers * minutes)
    checkpoint_s = load_experiment(EXPERIMENT).training.checkpoint_seconds
    return {
        "workers": workers,
        "minutes": round(minutes),
        "dollars": round(workers * minutes / 60 * DOLLARS_PER_CORE_HOUR, 2),
        "busy": f"{busy:.0%}",
        "to the store MB/s": round(workers * state_bytes / 1e6 / checkpoint_s, 2),
        "data sent to machines MB": round(workers * data_mb),
    }


@contextmanager
def _ray_nodes(workers: int) -> Iterator[str]:
    """The address of a cluster: a head that trains nothing, this many nodes of one core, all on loopback."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    cluster.add_node(num_cpus=0, include_dashboard=False, node_ip_address="127.0.0.1")
    for _ in range(workers):
        cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1")
    try:
        yield cluster.address
    finally:
        cluster.shutdown()
