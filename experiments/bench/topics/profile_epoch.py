"""Where an epoch of training goes, before the work on speed and now.

python -m experiments.bench.topics.profile_epoch DATA       # milliseconds a batch by stage, as JSON

It times fkd from the outside, by names of the present code. The former code is timed by this script as it
was when it still knew the former names.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pandas as pd

REPOSITORY = Path(__file__).parents[3]
BEFORE = "c140a6d"
# The last commit whose script knows the names of BEFORE.
FORMER_SCRIPT, FORMER_MODULE = "07877b0", "bench.profile_epoch"
# The specialist with most rows, alone; the first epoch warms up and is not counted.
FOUR = "specialists={four: {keypoints: four, rows: labelled, batch_size: 256, members: 1}}"
EPOCHS = 3

STEP, WAITING, AROUND, METRICS = (
    "network step",
    "waiting for augmentation",
    "arrays to tensors and the call",
    "metrics to Python",
)
VALIDATION, SAVING, REST = "validation", "saving the state", "bookkeeping and progress"
STAGES = (STEP, WAITING, AROUND, METRICS, REST, VALIDATION, SAVING)
AUGMENTATION = "augmentation in other threads, processor time"
# What happens inside these is all theirs.
_WHOLE = (VALIDATION, SAVING)


class Stopwatch:
    """Seconds of one thread by stage; what happens in an inner stage is not part of the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._stages = [REST]
        self._marked_s = time.perf_counter()

    def mark(self) -> None:
        """Give the time since the last mark to the current stage."""
        now_s = time.perf_counter()
        self.seconds[self._stages[-1]] += now_s - self._marked_s
        self._marked_s = now_s

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Give the time in this context to a stage, except within validation and saving."""
        self.mark()
        self._stages.append(self._stages[-1] if self._stages[-1] in _WHOLE else name)
        try:
            yield
        finally:
            self.mark()
            self._stages.pop()

    def time(self, owner: Any, function: str, name: str) -> None:
        """Replace a function of a module or class by itself in a stage."""
        original = getattr(owner, function)

        @wraps(original)
        def timed(*arguments: Any, **settings: Any) -> Any:
            with self.stage(name):
                return original(*arguments, **settings)

        setattr(owner, function, timed)


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Milliseconds a batch by stage in the commit BEFORE and here, measured one after the other."""
    with tempfile.TemporaryDirectory() as former:
        _extract(BEFORE, ("fkd", "experiments"), former)
        _extract(FORMER_SCRIPT, ("bench",), former)
        columns = {
            f"before ({BEFORE}), ms a batch": _in_checkout(Path(former), FORMER_MODULE, data_folder),
            "now, ms a batch": _in_checkout(
                REPOSITORY, "experiments.bench.topics.profile_epoch", data_folder
            ),
        }
    table = pd.DataFrame(columns).map("{:,.1f}".format)
    return {"Profile of one epoch": table.rename_axis("stage").reset_index()}


def _extract(commit: str, paths: Sequence[str], folder: str) -> None:
    """Put what a commit has at some paths into a folder."""
    archive = subprocess.run(
        ["git", "archive", commit, *paths], cwd=REPOSITORY, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)


def _in_checkout(checkout: Path, module: str, data_folder: Path) -> dict[str, float]:
    """What a checkout's script prints with the checkout's fkd."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    call = [sys.executable, "-m", module, data_folder]
    done = subprocess.run(call, cwd=checkout, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def profile(data_folder: Path) -> dict[str, float]:
    """Milliseconds a batch by stage, of the epochs after the first, in the fkd that is imported."""
    from fkd.training.member_training import MemberTraining
    from fkd.training.network_pool import NetworkPool

    watch, augmenting_s, epochs = Stopwatch(), _time_augmentation(), []
    _time_the_step(watch)
    _time_the_stream(watch)
    watch.time(MemberTraining, "_save", SAVING)
    watch.time(NetworkPool, "judge", VALIDATION)
    validate = MemberTraining._validate

    def validate_and_note(training: Any) -> Iterator[Any]:
        yield from validate(training)
        epochs.append({**watch.seconds, AUGMENTATION: sum(augmenting_s)})

    MemberTraining._validate = validate_and_note
    batches, checkpoint_s = _train(data_folder)
    counted = batches * (EPOCHS - 1)
    first, last = epochs[0], epochs[-1]
    a_batch_s = {stage: (last[stage] - first[stage]) / counted for stage in (*STAGES[:-1], AUGMENTATION)}
    # No save fell into the epochs: the one at the end counts for as many batches as there are between two.
    whole_s = sum(a_batch_s[stage] for stage in STAGES[:-1])
    a_batch_s[SAVING] = watch.seconds[SAVING] * whole_s / checkpoint_s
    stages = {stage: a_batch_s[stage] * 1e3 for stage in STAGES}
    return {**stages, "all": sum(stages.values()), AUGMENTATION: a_batch_s[AUGMENTATION] * 1e3}


def _time_the_step(watch: Stopwatch) -> None:
    """The compiled step is TensorFlow's call of a graph; what is around it belongs to the pool."""
    from tensorflow.python.eager.context import Context
    from tensorflow.python.framework.ops import EagerTensor

    from fkd.training.network_pool import NetworkPool

    watch.time(Context, "call_function", STEP)
    watch.time(EagerTensor, "__float__", METRICS)
    watch.time(NetworkPool, "train", AROUND)


def _time_the_stream(watch: Stopwatch) -> None:
    from fkd.training import member_training

    original: Callable[..., Any] = member_training.prefetched

    def timed(*arguments: Any) -> Iterator[Any]:
        stream = original(*arguments)
        try:
            while True:
                with watch.stage(WAITING):
                    batch = next(stream)
                yield batch
        finally:
            stream.close()

    member_training.prefetched = timed


def _time_augmentation() -> list[float]:
    """Processor seconds of every batch that is made from now on."""
    from fkd.training.augment import Batches

    original, seconds = Batches.__call__, []

    def timed(batches: Batches, epoch: int, index: int) -> Any:
        started_s = time.thread_time()
        try:
            return original(batches, epoch, index)
        finally:
            if threading.current_thread() is not threading.main_thread():
                seconds.append(time.thread_time() - started_s)

    Batches.__call__ = timed
    return seconds


def _train(data_folder: Path) -> tuple[int, float]:
    """Train a member as `fkd train` does; its batches an epoch and the usual seconds between two saves."""
    from rich.console import Console

    from fkd.core.interrupt import StopRequest
    from fkd.data.source import load_data
    from fkd.experiment.files import load_experiment
    from fkd.experiment.store import Run
    from fkd.runs.job import Job
    from fkd.runs.members import train_members
    from fkd.runs.progress import Progress
    from fkd.runs.splits import make_splits
    from fkd.runs.status import run_status

    checkpoint_s = load_experiment("ensemble").training.checkpoint_seconds
    settings = (FOUR, f"training.max_epochs={EPOCHS}", "training.checkpoint_seconds=1e6")
    experiment = load_experiment("ensemble", settings)
    data = load_data(str(data_folder), lambda line: None)
    with tempfile.TemporaryDirectory() as store:
        run = Run(Path(store))
        splits = make_splits(run, experiment, data)
        job = Job(run=run, experiment=experiment, faces=data.training, splits=splits)
        status, console = run_status(run, experiment), Console(quiet=True)
        progress = Progress(status, job.images_per_epoch, job.max_epochs, console)
        train_members(job, progress, StopRequest())
    return -(-job.images_per_epoch["four"] // experiment.specialists["four"].batch_size), checkpoint_s


if __name__ == "__main__":
    print(json.dumps(profile(Path(sys.argv[1]))))
