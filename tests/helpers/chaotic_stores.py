"""Remote stores of a training that is killed again and again: a folder, and a bucket that has faults."""

import logging
import os
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s3_server import CREDENTIALS
from tcp_proxy import Proxy

LONGEST_CALM_S = 2.0
LONGEST_FAULT_S = 1.0
MOST_TRUNCATED = 3
LONGEST_DELAY_S = 0.3


class RemoteFolder:
    """A folder that stands for a store elsewhere."""

    may_fail = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def url(self) -> str:
        return self._folder.as_uri()

    def empty(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()

    def fetched(self) -> Path:
        """A folder with what is there."""
        return self._folder

    @contextmanager
    def faults(self, rng: random.Random) -> Iterator[None]:
        """There are none."""
        yield


class FaultyBucket:
    """A bucket of an S3 server on this machine, behind a proxy that misbehaves when it is asked to.

    folder: for what is fetched from it.
    """

    may_fail = True
    url = "s3://chaos/runs"

    def __init__(self, folder: Path, server_port: int) -> None:
        import s3fs

        self._folder = folder
        self._proxy = Proxy(server_port)
        os.environ |= CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._proxy.port}"}
        directly = f"http://127.0.0.1:{server_port}"
        self._files = s3fs.S3FileSystem(endpoint_url=directly, use_listings_cache=False)
        self._files.mkdir("chaos")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the server would print every request

    def empty(self) -> None:
        if self._files.exists(self.url):
            self._files.rm(self.url, recursive=True)

    def fetched(self) -> Path:
        """A folder with what is there."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._files.get(f"{self.url}/", str(self._folder), recursive=True)
        return self._folder

    @contextmanager
    def faults(self, rng: random.Random) -> Iterator[None]:
        """Now and then it is not there, slow, or its answers end too soon."""
        calm = threading.Event()
        trouble = threading.Thread(target=self._misbehave, args=(random.Random(rng.random()), calm))
        trouble.start()
        try:
            yield
        finally:
            calm.set()
            trouble.join()

    def _misbehave(self, rng: random.Random, calm: threading.Event) -> None:
        while not calm.wait(rng.uniform(0, LONGEST_CALM_S)):
            fault = rng.choice(("down", "slow", "short"))
            if fault == "down":
                self._proxy.down()
            elif fault == "slow":
                self._proxy.delay_s = rng.uniform(0, LONGEST_DELAY_S)
            else:
                self._proxy.truncated_answers = rng.randint(1, MOST_TRUNCATED)
            calm.wait(rng.uniform(0, LONGEST_FAULT_S))
            if fault == "down":
                self._proxy.up()
            self._proxy.delay_s, self._proxy.truncated_answers = 0.0, 0
