"""Train a small ensemble to its end while killing it at random moments; compare it with an undisturbed run.

    python tests/helpers/chaos.py --kills 200 --seed 1 --jobs 2        (make chaos KILLS=200 SEED=1 JOBS=2)

Every round trains the ensemble in a new store. The process is killed by SIGKILL or SIGTERM at a
random moment: while it starts, in the middle of a batch, inside a save, inside an upload to the
remote store. With --jobs or --engine ray it is the one that watches over those that train. Now and
then the machine is lost: its local store is removed and the next one resumes from the remote store,
a folder, or with --faults a bucket that now and then is slow, cuts answers short or is not there. At
the end of a round every member's final state, best weights, validation predictions and history must
be those of an undisturbed run, bit for bit. Rounds follow until the kills are spent.
"""

import argparse
import os
import random
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from chaotic_stores import FaultyBucket, RemoteFolder
from command_line import Running, assert_same_results, command, read_results
from repository import REPOSITORY
from s3_server import s3_server
from tiny_experiment import TINY_EXPERIMENT

EXIT_INTERRUPTED = 75

EXPERIMENT = """
base: tiny
network:
  convolutions:
    - {filters: 4, kernel: 5, pool: 4}
    - {filters: 8, kernel: 3, pool: 4}
  dense: [64]
training: {max_epochs: 30, patience_epochs: 15}
callbacks:
  - {ReduceLROnPlateau: {monitor: loss, factor: 0.9, patience: 2}}
  - {TerminateOnNaN: {}}
augmentation:
  albumentations:
    - {RandomGamma: {p: 0.5}}
resources: {cpus: 1}
"""

# 0 saves after every batch, so that many kills fall inside a save; the other one measures what is lost.
CHECKPOINT_SECONDS = (0.0, 0.5)
MACHINE_LOST_PROBABILITY = 0.15
AT_START_PROBABILITY = 0.2
LONGEST_START_S = 2.0
MEAN_DELAY_S = 0.8


@dataclass
class Tally:
    """What happened so far; lost_s are the seconds between the last save and a SIGKILL."""

    kills: int = 0
    sigterm_exits: int = 0
    machines_lost: int = 0
    rounds: int = 0
    lost_s: list[float] = field(default_factory=list)

    def summary(self) -> str:
        """The counts, and the work lost where states are saved CHECKPOINT_SECONDS[-1] apart."""
        lost = "not measured"
        if self.lost_s:
            median_s, most_s = np.median(self.lost_s), max(self.lost_s)
            lost = f"median {median_s:.2f} s, at most {most_s:.2f} s ({len(self.lost_s)} kills)"
        return (
            f"{self.kills} kills ({self.sigterm_exits} saved on SIGTERM), {self.machines_lost} machines lost"
            f", {self.rounds} rounds: bit-identical to the undisturbed run\n"
            f"work lost at a SIGKILL, checkpoint_seconds={CHECKPOINT_SECONDS[-1]:g}: {lost}"
        )


@dataclass(frozen=True)
class Chaos:
    """A folder with data, experiment and local store; a remote store.

    engine: the options that say what trains. prepared: whether processes begin with everything imported; else
    many kills fall into the imports.
    """

    folder: Path
    remote: RemoteFolder | FaultyBucket
    rng: random.Random
    engine: tuple[str, ...] = ()
    prepared: bool = True

    def start(self, checkpoint_seconds: float) -> "Running | subprocess.Popen[str]":
        options = ("--data", "faces", "--store", self.remote.url, *self.engine)
        call = ("train", "chaos.yaml", *options, "--set", f"training.checkpoint_seconds={checkpoint_seconds}")
        if self.prepared:
            return Running(*call, folder=self.folder)
        return subprocess.Popen(
            command(*call),
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def sign_of_training(self) -> str:
        """A word of the first line that comes once members are trained; processes announce it before."""
        return "epoch" if self.engine else "training"

    def forget_store(self) -> None:
        shutil.rmtree(self.folder / "models_store", ignore_errors=True)


def train_to_the_end(chaos: Chaos) -> None:
    """Train without a kill."""
    process = chaos.start(CHECKPOINT_SECONDS[-1])
    output = "".join(process.communicate())
    assert process.returncode == 0, output


def disturb(chaos: Chaos, tally: Tally) -> bool:
    """Start the training and kill it at a random moment; True if it came to its end before."""
    rng = chaos.rng
    number = rng.choice([signal.SIGKILL, signal.SIGTERM])
    checkpoint_seconds = rng.choice(CHECKPOINT_SECONDS)
    process = chaos.start(checkpoint_seconds)
    assert process.stdout is not None
    if rng.random() < AT_START_PROBABILITY:
        time.sleep(rng.uniform(0, LONGEST_START_S))
    else:
        for line in process.stdout:
            if chaos.sign_of_training in line:
                break
        time.sleep(rng.expovariate(1 / MEAN_DELAY_S))
    killed_at_s = time.time()
    process.send_signal(number)
    output = "".join(process.communicate())  # to the end of all that it started, which write there, too
    if process.returncode == 0:
        return True
    if process.returncode == 1 and chaos.remote.may_fail and f"fkd: {chaos.remote.url}" in output:
        return False
    expected = {signal.SIGKILL: (-number,), signal.SIGTERM: (EXIT_INTERRUPTED, -number)}[number]
    assert process.returncode in expected, f"exit status {process.returncode} after {number.name}: {output}"
    assert "Traceback" not in output, output
    tally.kills += 1
    tally.sigterm_exits += process.returncode == EXIT_INTERRUPTED
    if number == signal.SIGKILL and checkpoint_seconds:
        tally.lost_s += [killed_at_s - saved_s for saved_s in saves_of_held_members(chaos.folder)]
    if rng.random() < MACHINE_LOST_PROBABILITY:
        chaos.forget_store()
        tally.machines_lost += 1
    return False


def saves_of_held_members(folder: Path) -> list[float]:
    """When the current member was last saved; none if that was before this process took it."""
    saves_s = []
    for lock in folder.glob("models_store/*/*/*/lock.txt"):
        state = lock.with_name("state.npz")
        if lock.read_text() and state.exists() and state.stat().st_mtime > lock.stat().st_mtime:
            saves_s.append(state.stat().st_mtime)
    return saves_s


def run_round(chaos: Chaos, tally: Tally, undisturbed: dict[str, np.ndarray], kills: int) -> None:
    """One ensemble to its end, with kills until their number is reached; AssertionError if it differs."""
    chaos.forget_store()
    chaos.remote.empty()
    with chaos.remote.faults(chaos.rng):
        while tally.kills < kills and not disturb(chaos, tally):
            pass
    train_to_the_end(chaos)  # also sends what the remote store lacks
    tally.rounds += 1
    assert_same_results(chaos.remote.fetched() / "chaos-faces", undisturbed)
    # A member that was finished on a lost machine comes back without its state, which nobody needs any more.
    local = chaos.folder / "models_store" / "chaos-faces"
    here = read_results(local)
    assert_same_results(
        local, {name: array for name, array in undisturbed.items() if name in here or "state.npz" not in name}
    )


def wreak(
    folder: Path,
    kills: int,
    seed: int,
    *,
    engine: tuple[str, ...] = (),
    faults: bool = False,
    prepared: bool = True,
) -> Tally:
    """Train undisturbed, then in rounds until the kills are spent; AssertionError if a round differs."""
    from fkd.data.synthetic.data_set import write_synthetic

    write_synthetic(folder / "faces", seed=1, training_faces=60, test_faces=6)
    (folder / "tiny.yaml").write_text(TINY_EXPERIMENT)
    (folder / "chaos.yaml").write_text(EXPERIMENT)
    with s3_server() if faults else nullcontext() as port:
        remote = FaultyBucket(folder / "fetched", port) if port else RemoteFolder(folder / "remote")
        chaos, tally = Chaos(folder, remote, random.Random(seed), engine, prepared), Tally()
        remote.empty()
        train_to_the_end(chaos)
        undisturbed = read_results(folder / "models_store" / "chaos-faces")
        assert undisturbed
        while tally.kills < kills:
            run_round(chaos, tally, undisturbed, kills)
            print(f"round {tally.rounds}: {tally.kills} of {kills} kills, bit-identical", flush=True)
    return tally


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--jobs", help="train in so many processes")
    parser.add_argument("--engine", help="train with this engine, such as ray")
    parser.add_argument("--faults", action="store_true", help="keep results in a bucket that has faults")
    parser.add_argument(
        "--unprepared", action="store_true", help="import everything anew, so that kills fall there, too"
    )
    arguments = parser.parse_args()
    seed = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        engine = ["--jobs", arguments.jobs] if arguments.jobs else []
        engine += ["--engine", arguments.engine] if arguments.engine else []
        tally = wreak(
            Path(folder),
            arguments.kills,
            seed,
            engine=tuple(engine),
            faults=arguments.faults,
            prepared=not arguments.unprepared,
        )
    print(tally.summary())


if __name__ == "__main__":
    main()
