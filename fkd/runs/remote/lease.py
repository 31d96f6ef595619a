"""Who trains which member, among machines that share nothing but a remote store.

A lease is an object `lease.json` that its holder rewrites every few seconds. An observer who sees the same
content for a minute of its own clock takes it over; the clocks of two machines are never compared.
"""

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from fkd.core.say import Say
from fkd.experiment.records import DamagedRecordError, Number, Record, parse_record
from fkd.runs.locks import Holder, process_is_dead
from fkd.runs.remote.object_store import ObjectStore, describe


@dataclass(frozen=True)
class LeaseTiming:
    """How often a holder writes, when it counts as dead, and how long a take-over waits for a rival's."""

    heartbeat_s: float = 10.0
    stale_after_s: float = 60.0
    settle_s: float = 2.0


class _LeaseRecord(Record):
    """lease.json, without version and checksum: it is renewed all the time, and all programs read it."""

    expected = "what the holder of a lease writes"
    way_out = "it is taken over when it is stale"

    host: str
    pid: Annotated[Number, Field(gt=0)]
    owner: str
    machine: str
    beat: Number


@dataclass(frozen=True)
class LeaseHolder(Holder):
    """The content of a lease: its holder, under a name of its own, and how often it has been renewed.

    machine: where `pid` means the same process.
    """

    owner: str
    machine: str
    beat: int

    @classmethod
    def me(cls) -> Self:
        """This process, under a new name."""
        return cls(platform.node(), os.getpid(), owner=secrets.token_hex(8), machine=this_machine(), beat=0)

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Who wrote a lease; nobody known where the content is damaged."""
        try:
            return cls(**parse_record(content, "lease.json", _LeaseRecord).model_dump())
        except DamagedRecordError:
            return cls("an unknown machine", 0, owner="", machine="", beat=0)

    def content(self) -> bytes:
        """As written to the store."""
        return json.dumps(asdict(self)).encode()

    @property
    def may_be_alive(self) -> bool:
        """False if the process is known to be dead; of another machine nothing is known."""
        return self.machine != this_machine() or not process_is_dead(self.pid)


class Lease:
    """The right to train a member, renewed in the background until it is released or lost.

    `lost` is set when another process holds it. While the store cannot be reached the holder continues.
    """

    def __init__(self, objects: ObjectStore, key: str, say: Say, heartbeat_s: float) -> None:
        self.lost = threading.Event()
        self.holder = LeaseHolder.me()
        self._objects, self._key, self._say = objects, key, say
        self._heartbeat_s = heartbeat_s
        self._written = False
        self._ended = threading.Event()
        self._renewing = threading.Lock()

    def start(self, written: bool) -> Self:
        """Begin the heartbeat; a lease that could not be written yet is created by it."""
        self._written = written
        threading.Thread(target=self._beat, name=f"lease {self._key}", daemon=True).start()
        return self

    def confirm(self) -> bool:
        """Look whether it is still ours and renew it; raises whatever the store raises."""
        with self._renewing:
            if self._ended.is_set() or self.lost.is_set():
                return not self.lost.is_set()
            found = self._found()
            if found.owner != self.holder.owner:
                self.lose(f"now held by {found}" if found.owner else "removed or damaged")
                return False
            self.holder = replace(self.holder, beat=self.holder.beat + 1)
            self._objects.write(self._key, self.holder.content())
            return True

    def lose(self, reason: str) -> None:
        """Tell the trainer to stop."""
        self._say(f"{self._key}: lost, {reason}")
        self.lost.set()

    def release(self) -> None:
        """Let others have it at once; raises whatever the store raises."""
        with self._renewing:
            self.stop()
            if self._written and not self.lost.is_set() and self._found().owner == self.holder.owner:
                self._objects.delete(self._key)

    def stop(self) -> None:
        """End the heartbeat; others may have the lease when it is stale."""
        self._ended.set()

    def _found(self) -> LeaseHolder:
        """Who holds it now; ourselves if it had not been written yet and nobody does."""
        try:
            if not self._written:
                self._objects.create(self._key, self.holder.content())
                self._written = True
        except FileExistsError:
            self._written = True
        try:
            return LeaseHolder.parse(self._objects.read(self._key))
        except FileNotFoundError:
            return LeaseHolder.parse(b"")

    def _beat(self) -> None:
        while not self._ended.wait(self._heartbeat_s) and not self.lost.is_set():
            # A store out of reach never stops a training; who uploads says so.
            try:
                self.confirm()
            except Exception:
                continue


class Leases:
    """The leases of one remote store, as this process sees them."""

    def __init__(
        self,
        objects: ObjectStore,
        say: Say,
        timing: LeaseTiming | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objects, self._say, self._clock = objects, say, clock
        self._timing = timing or LeaseTiming()
        self._seen: dict[str, tuple[bytes, float]] = {}

    def acquire(self, key: str) -> Lease | None:
        """Take a lease, or None while another process holds it (ask again, to see whether it lives).

        Where the store cannot be reached the lease is ours until it can.
        """
        lease = Lease(self._objects, key, self._say, self._timing.heartbeat_s)
        try:
            if not self._take(key, lease.holder):
                return None
        except Exception as error:
            self._say(f"{key}: nobody can be asked who holds it ({describe(error)}); continuing")
            return lease.start(written=False)
        self._seen.pop(key, None)
        return lease.start(written=True)

    def holder(self, key: str) -> str:
        """Host and pid of the process that held a lease when `acquire` last returned None."""
        return str(LeaseHolder.parse(self._seen[key][0])) if key in self._seen else "nobody"

    def _take(self, key: str, me: LeaseHolder) -> bool:
        try:
            self._objects.create(key, me.content())
        except FileExistsError:
            pass
        else:
            return True
        try:
            content = self._objects.read(key)
        except FileNotFoundError:
            return False  # released just now; ask again
        found = LeaseHolder.parse(content)
        if found.owner == me.owner:
            return True  # created by a request whose answer was lost, and which was then repeated
        reason = self._why_free(key, content, found)
        if not reason:
            return False
        self._say(f"{key}: taken over from {found}: {reason}")
        self._objects.write(key, me.content())
        time.sleep(self._timing.settle_s)
        return LeaseHolder.parse(self._objects.read(key)).owner == me.owner

    def _why_free(self, key: str, content: bytes, found: LeaseHolder) -> str:
        seen, since_s = self._seen.get(key, (None, 0.0))
        if seen != content:
            since_s = self._clock()
            self._seen[key] = (content, since_s)
        if not found.may_be_alive:
            return "its process is dead"
        unchanged_s = self._clock() - since_s
        return f"no sign of life for {unchanged_s:.0f} s" if unchanged_s >= self._timing.stale_after_s else ""


@cache
def this_machine() -> str:
    """Host, boot and pid namespace: within these a pid means one process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot = namespace = ""
    return " ".join((platform.node(), boot, namespace))
