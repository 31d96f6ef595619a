"""A copy of the local store behind a URL, so that another machine can resume where this one stopped.

<url>/<run>/<specialist>/<member>/state.npz, as in the local store, and lease.json beside it while a machine
trains the member. The local store is where fkd works; this module brings files in and sends them out.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from fkd.core.errors import UserError, one_line
from fkd.core.files import atomic_write_bytes, is_there, open_regular
from fkd.core.say import Say
from fkd.experiment.records import DamagedRecordError, DoneRecord, Provenance, SplitRecord, parse_record
from fkd.experiment.store import MemberFolder, Run, is_done, of_member, parse_experiment, refuse_other_run
from fkd.runs.remote.lease import Lease, Leases, LeaseTiming
from fkd.runs.remote.object_store import ObjectStore, describe
from fkd.runs.remote.uploads import Patience, Uploads

# How far a state file stands, as (epoch, batch); raises ValueError if it is damaged.
PositionOf = Callable[[Path], tuple[int, int]]

Result = TypeVar("Result")

_NOWHERE = (-1, -1)


class RemoteUnreachableError(UserError):
    """The remote store could not be read, however often it was tried."""


class RemoteStore:
    """The remote copy of `local`; raises UserError at once where `url` cannot be written."""

    def __init__(
        self,
        url: str,
        local: Path,
        say: Say,
        position_of: PositionOf,
        patience: Patience | None = None,
        timing: LeaseTiming | None = None,
    ) -> None:
        self._objects = ObjectStore(url)
        self._local, self._say, self._position_of = local, say, position_of
        self._patience = patience or Patience()
        self._leases = Leases(self._objects, say, timing)
        self._held: dict[MemberFolder, Lease] = {}
        self._released: set[Lease] = set()
        self._pulled: set[MemberFolder] = set()
        self._arrived: dict[Path, str] = {}  # file -> SHA-256 of what the remote store has
        self._uploads: Uploads[Run | MemberFolder] = Uploads(self._upload, say, self._patience)

    def pull_run(self, run: Run) -> None:
        """Fetch the run's experiment, provenance and splits where they are missing here.

        Raises RemoteUnreachableError, UserError if the run here is of another experiment or other data, and
        DamagedRecordError, naming what is damaged there.
        """
        self._refuse_other_run(run)
        keys = self._try_reading(lambda: self._objects.keys(self._key(run.path)))
        splits = [
            self._local / key
            for key in keys
            if key.count("/") == 2 and key.endswith("/split.json") and ".." not in key.split("/")
        ]
        for path in (*splits, run.provenance, run.experiment):
            if not path.exists() and (content := self._fetch(path)) is not None:
                self._refuse_damaged(path, content)
                _write(path, content)

    def pull_member(self, folder: MemberFolder) -> None:
        """Fetch what stands further there, the finished member or its state; send what stands further here.

        Raises RemoteUnreachableError.
        """
        further = self._further(folder)
        for path, content in further.items():
            _write(path, content)
        self._pulled.add(folder)
        if not further and (folder in self._held or self._is_missing_there(folder.done)):
            self._uploads.add(folder)

    def push(self, folder: Run | MemberFolder) -> None:
        """Send what has changed of a member, or of a run's own files, in the background; returns at once."""
        self._uploads.add(folder)

    def behind(self) -> str | None:
        """How much has not arrived, for how long and why; None when all has."""
        return self._uploads.behind()

    def acquire(self, folder: MemberFolder) -> Lease | None:
        """The right to train a member, or None while another process has it; pull the member afterwards."""
        former = self._held.get(folder)
        if former and not former.lost.is_set():
            return None  # its release waits for its files
        self._pulled.discard(folder)
        lease = self._leases.acquire(self._lease_key(folder))
        if lease:
            self._held[folder] = lease
        return lease

    def holder(self, folder: MemberFolder) -> str:
        """Host and pid of the process for which `acquire` last returned None."""
        return self._leases.holder(self._lease_key(folder))

    def release(self, folder: MemberFolder) -> None:
        """Let other machines have a member as soon as all that was pushed of it has arrived."""
        if folder in self._held:
            self._released.add(self._held[folder])
            self._uploads.add(folder)

    def close(self, timeout_s: float | None = None) -> list[Path]:
        """Wait until all has arrived and all leases are given up, at most that long, and end all threads.

        Returns the folders of which something has not arrived.
        """
        for folder in list(self._held):
            self.release(folder)
        left = self._uploads.close(timeout_s)
        for lease in list(self._held.values()):
            lease.stop()
        return [folder.path for folder in left]

    def _refuse_other_run(self, run: Run) -> None:
        experiment, provenance = self._fetch(run.experiment), self._fetch(run.provenance)
        if not run.experiment.exists() or experiment is None or provenance is None:
            return
        former = parse_experiment(experiment, self._place(run.experiment))
        former_checksum = parse_record(provenance, self._place(run.provenance), Provenance).data_checksum
        here = run.read_data_checksum() if is_there(run.provenance) else former_checksum
        refuse_other_run(self._place(run.path), former, former_checksum, run.read_experiment(), here)

    def _refuse_damaged(self, path: Path, content: bytes) -> None:
        """Raise DamagedRecordError for a file of a run that is damaged there."""
        if path.suffix == ".yaml":
            parse_experiment(content, self._place(path))
        else:
            parse_record(content, self._place(path), SplitRecord if path.stem == "split" else Provenance)

    def _upload(self, folder: Run | MemberFolder) -> None:
        """Bring the remote store up to date with a folder; raises whatever the store raises."""
        if isinstance(folder, Run) or folder not in self._held:
            self._send(_files(folder), lambda: True)
            return
        lease, released = self._held[folder], self._held[folder] in self._released
        if lease.confirm() and self._is_ahead(folder, lease):
            self._send(_files(folder), lambda: not lease.lost.is_set())
        if released:
            lease.release()
            self._released.discard(lease)
            if self._held[folder] is lease:
                del self._held[folder]

    def _is_ahead(self, folder: MemberFolder, lease: Lease) -> bool:
        """Whether nobody went further with the member while this machine could not see the store."""
        if folder not in self._pulled and self._further(folder):
            lease.lose("another machine went further")
        else:
            self._pulled.add(folder)
        return not lease.lost.is_set()

    def _send(self, files: Sequence[Path], allowed: Callable[[], bool]) -> None:
        for path, content in _read_last_first(files).items():
            digest = hashlib.sha256(content).hexdigest()
            if self._arrived.get(path) != digest and allowed():
                self._objects.write(self._key(path), content)
                self._arrived[path] = digest

    def _further(self, folder: MemberFolder) -> dict[Path, bytes]:
        """Files that bring the local member to where the remote one stands, the decisive one last."""
        if is_done(folder):
            return {}
        return self._finished(folder) or self._further_state(folder)

    def _finished(self, folder: MemberFolder) -> dict[Path, bytes]:
        done = self._fetch(folder.done)
        if done is None:
            return {}
        try:
            place = self._key(folder.done)
            record = of_member(folder, parse_record(done, place, DoneRecord), place)
        except DamagedRecordError as error:
            self._say(f"{error}; taken as not finished")
            return {}
        digests = record.files
        paths = [folder.history, folder.best_weights, folder.validation]
        further = folder.mirrored_validation, folder.views_validation
        paths += [path for path in further if path.name in digests]
        files = {path: content for path in paths if (content := self._fetch(path)) is not None}
        for path in paths:
            expected = digests.get(path.name)
            if path not in files or expected not in (None, hashlib.sha256(files[path]).hexdigest()):
                self._say(f"{self._key(path)}: missing or damaged; the member is taken as not finished")
                return {}
        return files | {folder.done: done}

    def _further_state(self, folder: MemberFolder) -> dict[Path, bytes]:
        """The newest sound state if it stands further than the local one, and the files that belong to it."""
        here = max(self._local_position(folder.state), self._local_position(folder.previous_state))
        for path in (folder.state, folder.previous_state):
            state = self._fetch(path)
            if state is None:
                continue
            try:
                if self._position_in(state) <= here:
                    return {}
            except ValueError as error:
                self._say(f"{self._key(path)}: damaged ({one_line(error)}); looking for the state before it")
                continue
            history = self._fetch(folder.history)
            return ({folder.history: history} if history else {}) | {folder.state: state}
        return {}

    def _is_missing_there(self, path: Path) -> bool:
        return path.exists() and self._fetch(path) is None

    def _local_position(self, path: Path) -> tuple[int, int]:
        try:
            return self._position_of(path)
        except (FileNotFoundError, ValueError):
            return _NOWHERE

    def _position_in(self, state: bytes) -> tuple[int, int]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state.npz"
            path.write_bytes(state)
            return self._position_of(path)

    def _fetch(self, path: Path) -> bytes | None:
        """The remote content of a file, None where there is none."""

        def read() -> bytes | None:
            try:
                return self._objects.read(self._key(path))
            except FileNotFoundError:
                return None

        return self._try_reading(read)

    def _try_reading(self, read: Callable[[], Result]) -> Result:
        for failures in range(1, self._patience.read_attempts + 1):
            try:
                return read()
            except Exception as error:  # a remote store raises much more than OSError
                reason = describe(error)
            if failures < self._patience.read_attempts:
                time.sleep(self._patience.delay_s(failures))
        raise RemoteUnreachableError(
            f"{self._objects.url}: expected to read what is there already, received {reason}; "
            "try again when it can be reached, or continue without a remote store"
        )

    def _place(self, path: Path) -> str:
        """What a file is called in messages."""
        return f"{self._objects.url}/{self._key(path)}"

    def _key(self, path: Path) -> str:
        return path.relative_to(self._local).as_posix()

    def _lease_key(self, folder: MemberFolder) -> str:
        return self._key(folder.path / "lease.json")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(path, content)


def _files(folder: Run | MemberFolder) -> list[Path]:
    """What is copied, in the order in which it is written here and must arrive there."""
    if isinstance(folder, Run):
        return [*sorted(folder.path.glob("*/split.json")), folder.provenance, folder.experiment]
    return [
        folder.best_weights,
        folder.history,
        folder.validation,
        folder.mirrored_validation,
        folder.views_validation,
        folder.previous_state,
        folder.state,
        folder.done,
    ]


def _read_last_first(files: Sequence[Path]) -> dict[Path, bytes]:
    """The contents of those files that exist, in order.

    Reading against the order of writing finds with done.json all that was written before it, although the
    trainer may be writing just now.
    """
    contents: dict[Path, bytes] = {}
    for path in reversed(files):
        try:
            with open_regular(path) as stream:
                contents[path] = stream.read()
        except (FileNotFoundError, ValueError):
            continue
    return dict(reversed(contents.items()))
