"""Damage to any file or folder: its bytes, and other things in its place."""

import io
import os
import pickle
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

# Takes a random generator and a path; what it did in words, or None where it cannot be done to such a thing.
Damage = Callable[[random.Random, Path], str | None]

# Sparse: it takes no room on the disk, and more memory than a call may have.
SPARSE_BYTES = 3 * 2**30
PICKLE = pickle.dumps({"epoch": 3})
HTML = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n"


def on_bytes(change: Callable[[random.Random, bytes], bytes | None]) -> Damage:
    """A damage to the bytes of a file that is not empty."""

    def damage(rng: random.Random, path: Path) -> str | None:
        before = path.read_bytes() if path.is_file() else b""
        after = change(rng, before) if before else None
        if after is None or after == before:
            return None
        path.write_bytes(after)
        return change.__name__.strip("_").replace("_", " ")

    return damage


def _place(rng: random.Random, data: bytes) -> int:
    return int(rng.random() * len(data))


def _bits_flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 8, 100))):
        changed[_place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _bytes_inserted(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 64, 4096))) + data[at:]


def _bytes_deleted(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + rng.choice((1, 2, 64, 4096)) :]


def _truncated(rng: random.Random, data: bytes) -> bytes:
    return data[: _place(rng, data)]


def _emptied(rng: random.Random, data: bytes) -> bytes:
    return b""


def _zeros(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    length = min(rng.choice((16, 512, 4096)), len(data) - at)
    return data[:at] + bytes(length) + data[at + length :]


def _garbage_appended(rng: random.Random, data: bytes) -> bytes:
    return data + rng.randbytes(rng.choice((1, 100, 10_000)))


def _twice(rng: random.Random, data: bytes) -> bytes:
    return data + data


def _of_random_bytes(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(len(data))


def _a_pickle(rng: random.Random, data: bytes) -> bytes:
    return PICKLE


def _a_page_of_html(rng: random.Random, data: bytes) -> bytes:
    return HTML


def _a_png(rng: random.Random, data: bytes) -> bytes:
    return encoded(Image.new("L", (32, 32), 128))


def _a_number_alone(rng: random.Random, data: bytes) -> bytes:
    return rng.choice((b"1", b"-1\n", b"1e400", b"null\n", b"[]", b"{}", b'""', b"NaN", b"true"))


# Things in the place of a file or a folder


def _removed(rng: random.Random, path: Path) -> str:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return "removed"


def _instead(make: Callable[[Path], None], what: str) -> Damage:
    def damage(rng: random.Random, path: Path) -> str:
        _removed(rng, path)
        make(path)
        return f"{what} instead"

    return damage


def _a_full_folder(path: Path) -> None:
    path.mkdir()
    (path / "file").write_text("1\n")


def _a_large_file(path: Path) -> None:
    path.touch()
    os.truncate(path, SPARSE_BYTES)


def _renamed(rng: random.Random, path: Path) -> str:
    new = rng.choice((f"{path.name}.bak", f"{path.name} (1)", path.name.upper(), "07", "a b", "é", "-x"))
    path.rename(path.with_name(new)) if not path.with_name(new).exists() else None
    return f"renamed to {new}"


def _no_rights(rng: random.Random, path: Path) -> str | None:
    if os.geteuid() == 0:  # root may read everything
        return None
    path.chmod(0)
    return "without rights"


def swapped(rng: random.Random, path: Path, others: Sequence[Path]) -> str | None:
    """Swap it with another, or replace it by a copy of one."""
    other = rng.choice(others) if others else path
    if other == path or path.is_relative_to(other) or other.is_relative_to(path):
        return None
    where = os.path.relpath(other, path.parent)
    if path.is_file() and other.is_file() and rng.random() < 0.3:
        shutil.copyfile(other, path)
        return f"a copy of {where} instead"
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside), other.rename(path), aside.rename(other)
    return f"swapped with {where}"


def encoded(picture: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


BYTES: tuple[Damage, ...] = tuple(
    on_bytes(change)
    for change in (
        *(
            _bits_flipped,
            _bits_flipped,
            _bytes_inserted,
            _bytes_deleted,
            _truncated,
            _emptied,
            _zeros,
            _twice,
        ),
        *(_garbage_appended, _of_random_bytes, _a_pickle, _a_page_of_html, _a_png, _a_number_alone),
    )
)
THINGS: tuple[Damage, ...] = (
    *(_removed, _renamed, _no_rights),
    _instead(Path.mkdir, "a folder"),
    _instead(_a_full_folder, "a full folder"),
    _instead(os.mkfifo, "a FIFO"),
    _instead(lambda path: path.symlink_to(path.name), "a link to itself"),
    _instead(lambda path: path.symlink_to("nowhere"), "a link to nowhere"),
    _instead(lambda path: path.symlink_to("/dev/zero"), "a link to /dev/zero"),
    _instead(lambda path: path.symlink_to(".."), "a link to its folder"),
    _instead(_a_large_file, "3 GiB of zeros"),
)
