"""Damage to what packs other things: zip files, pictures, arrays."""

import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from fuzzing.of_bytes import Damage, encoded


def inside_zip(damage: Damage) -> Damage:
    """A damage to the text inside a zip."""

    def changed(rng: random.Random, path: Path) -> str | None:
        with zipfile.ZipFile(path) as archive:
            name = archive.namelist()[0]
            inner = path.with_name(f"{path.name}.inner")
            inner.write_bytes(archive.read(name))
        did = damage(rng, inner)
        if did:
            _write_zip(path, {name: inner.read_bytes()})
        inner.unlink()
        return did and f"inside: {did}"

    return changed


def _write_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)


def another_zip(rng: random.Random, path: Path) -> str:
    name = f"{path.stem}.csv"
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0])
    line = text.splitlines(keepends=True)[-1]
    kinds: dict[str, tuple[dict[str, bytes], int]] = {
        "an empty zip": ({}, zipfile.ZIP_STORED),
        "a zip of another file": ({"x.csv": text}, zipfile.ZIP_DEFLATED),
        "a zip that leads out": ({f"../../{name}": text}, zipfile.ZIP_DEFLATED),
        "a zip with another first": ({f"copy/{name}": b"x\n", name: text}, zipfile.ZIP_DEFLATED),
        "a zip by LZMA": ({name: text}, zipfile.ZIP_LZMA),
        "a zip of one endless line": ({name: b"7 " * 100_000_000}, zipfile.ZIP_DEFLATED),
        "a zip of zeros": ({name: bytes(200_000_000)}, zipfile.ZIP_DEFLATED),
        "a zip of one row again and again": ({name: text + line * 3_000}, zipfile.ZIP_DEFLATED),
    }
    what = rng.choice(list(kinds))
    _write_zip(path, *kinds[what])
    return what


def another_picture(rng: random.Random, path: Path) -> str:
    kinds: dict[str, Callable[[], Image.Image]] = {
        "one pixel": lambda: Image.new("RGB", (1, 1)),
        "a line": lambda: Image.new("L", (4000, 1)),
        "30,000 x 30,000": lambda: Image.new("1", (30_000, 30_000)),
        "39 megapixels": lambda: Image.new("L", (6_500, 6_000)),
        "16 bits": lambda: Image.fromarray(np.full((50, 50), 60_000, np.uint16)),
        "CMYK": lambda: Image.new("CMYK", (50, 50)),
        "transparent": lambda: Image.new("RGBA", (50, 50)),
        "palette": lambda: Image.new("P", (50, 50)),
    }
    what = rng.choice(list(kinds))
    path.write_bytes(encoded(kinds[what](), "TIFF" if what == "CMYK" else "PNG"))
    return f"another picture: {what}"


def another_array(rng: random.Random, path: Path) -> str | None:
    """Of an .npy file, or of one array of an .npz file, whose checksum of the whole is then wrong."""
    if path.suffix == ".npy":
        arrays = {"": np.load(path, allow_pickle=False)}
    else:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    name = rng.choice(sorted(arrays))
    before = np.atleast_1d(arrays[name])
    kinds: dict[str, Callable[[], np.ndarray]] = {
        "objects": lambda: before.astype(object),
        "no rows": lambda: before[:0],
        "one row fewer": lambda: before[1:],
        "rows turned": lambda: before[::-1].copy(),
        "flat": lambda: before.reshape(-1),
        "text": lambda: before.astype(np.str_),
        "zeros": lambda: np.zeros_like(before),
        "not a number": lambda: np.full(before.shape, np.nan),
        "complex": lambda: np.full(before.shape, 1j),
        "another byte order": lambda: before.astype(before.dtype.newbyteorder(">")),
    }
    what = rng.choice(list(kinds))
    arrays[name] = kinds[what]()
    with path.open("wb") as stream:
        np.savez(stream, **arrays) if path.suffix == ".npz" else np.save(stream, arrays[name])
    return f"array {name or path.stem}: {what}"
