"""A machine of which there is a store on the disk, its copy behind a URL, and nothing that trains."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from fkd.experiment.store import Run
from fkd.runs.remote.lease import LeaseTiming
from fkd.runs.remote.remote_store import RemoteStore
from fkd.runs.remote.uploads import Patience

QUICK = Patience(first_retry_s=0.01, longest_retry_s=0.05)
TIMING = LeaseTiming(heartbeat_s=0.02, settle_s=0.0)
WAIT_S = 20.0


class Machine:
    """A local store and its remote copy."""

    def __init__(self, url: str, local: Path) -> None:
        self.said: list[str] = []
        self.local = local
        self.remote = RemoteStore(url, local, self.said.append, position, QUICK, TIMING)
        self.run = Run(local / "tiny-faces")
        self.member = self.run.member("four", 7)

    def write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def save(self, epoch: int) -> None:
        """As the trainer saves; a state is the text `<epoch> <batch>.`"""
        if self.member.state.exists():
            self.write(self.member.previous_state, self.member.state.read_bytes())
        self.write(self.member.state, b"%d 0." % epoch)
        self.write(self.member.history, b"epoch\n%d\n" % epoch)

    def finish(self) -> None:
        """As the trainer finishes."""
        files = {
            "best.weights.h5": b"weights",
            "validation.npy": b"array",
            "mirrored_validation.npy": b"mirrored",
            "views_validation.npy": b"views",
            "history.csv": b"epoch\n9\n",
        }
        for name, content in files.items():
            self.write(self.member.path / name, content)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        self.write(self.member.done, json.dumps({"files": digests}).encode())

    def send(self) -> None:
        """Push the member and wait until it has arrived."""
        self.remote.push(self.member)
        wait_until(lambda: self.remote.behind() is None)


def position(path: Path) -> tuple[int, int]:
    text = path.read_text()
    if not text.endswith("."):
        raise ValueError("cut short")
    epoch, batch = text[:-1].split()
    return int(epoch), int(batch)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.005)
