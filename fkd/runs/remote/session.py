"""A run's copy behind a URL, opened for as long as a command works on the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fkd.core.interrupt import InterruptedTrainingError
from fkd.core.say import Say
from fkd.experiment.store import Run

if TYPE_CHECKING:
    from fkd.runs.remote.remote_store import RemoteStore

# How long the end waits for a remote store: within the two minutes that a spot machine is given.
_LAST_UPLOADS_S = 90.0


@contextmanager
def remote_session(url: str | None, folder: Path, run: Run, say: Say) -> "Iterator[RemoteStore | None]":
    """The remote store at `url`, the run's own files brought into `folder`; None without a URL.

    At the end all is sent; raises InterruptedTrainingError, after naming it, where something has not arrived.
    """
    if url is None:
        yield None
        return
    from fkd.runs.remote.remote_store import RemoteStore  # loads fsspec
    from fkd.training.state import position_of

    remote = RemoteStore(url, folder, say, position_of)
    try:
        remote.pull_run(run)
        yield remote
    finally:
        left = remote.close(_LAST_UPLOADS_S)
        for path in left:
            say(f"{url}: {path} has not wholly arrived; it is safe here")
    if left:
        raise InterruptedTrainingError(f"{url} lags behind; the same command sends the rest")
