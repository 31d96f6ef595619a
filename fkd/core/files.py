"""Files written whole or not at all, their checksums, and the reading of nothing but files."""

import hashlib
import io
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError

_TEMPORARY_PREFIX = ".temporary-"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that becomes `path` at the end, or vanishes on an error.

    The temporary name ends like `path`, for writers that depend on the suffix. The folder must exist: one
    that was removed in the middle of a training is not to come back half empty. Raises UserError if the
    file cannot be written.
    """
    temporary = _temporary_name(path)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); what was saved before is intact; "
            "fix this and run the same command again"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def keep_previous(path: Path, previous: Path) -> None:
    """Let `previous` be what `path` is now; `path` itself stays, so that at no moment there is none."""
    if not path.exists():
        return
    temporary = _temporary_name(previous)
    try:
        os.link(path, temporary)
    except OSError:  # not every file system has hard links
        shutil.copyfile(path, temporary)
    temporary.replace(previous)
    temporary.unlink(missing_ok=True)  # renaming one link of a file to another does nothing


def is_there(path: Path) -> bool:
    """Whether a path exists, be it a link that leads nowhere: that is damage, and no absence."""
    return os.path.lexists(path)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; raises ValueError, saying what it is, for a folder, a FIFO or a device.

    A FIFO would be waited for and a device need not end. Also for a link that leads nowhere or in a circle.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            raise ValueError("a link that leads nowhere") from error
        raise
    if not stat.S_ISREG(mode):
        raise ValueError("a folder" if stat.S_ISDIR(mode) else "no regular file")
    return path.open("rb")


def read_regular(path: Path, most_bytes: int) -> bytes:
    """A file's content; raises ValueError as `open_regular` does, and for a larger file."""
    with open_regular(path) as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"more than {most_bytes:,} bytes")
    return content


def move_damaged_aside(path: Path) -> Path:
    """Rename what cannot be read, so that nothing is lost and its place is free; returns its new place."""
    return path.rename(path.with_name(f"{path.stem}.damaged-{time.time_ns()}{path.suffix}"))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed."""
    for leftover in folder.glob(f"{_TEMPORARY_PREFIX}*"):
        leftover.unlink(missing_ok=True)


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def atomic_write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all."""
    atomic_write_bytes(path, (json.dumps(value, indent=1) + "\n").encode())


def atomic_write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array that `np.load(allow_pickle=False)` reads, whole or not at all."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    atomic_write_bytes(path, buffer.getvalue())


def sha256(path: Path) -> str:
    """A file's checksum as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _temporary_name(path: Path) -> Path:
    return path.with_name(f"{_TEMPORARY_PREFIX}{secrets.token_hex(4)}.{path.name}")
