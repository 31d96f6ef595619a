"""A checked copy of a data set that loads in a fraction of a second.

One uncompressed .npz file per folder. NumPy's archive carries a CRC-32 of every array; `about.json` in it
lists them, so that an array that was written again by another program is noticed, too.
"""

from __future__ import annotations

import hashlib
import io
import json
import mmap
import os
import struct
import zipfile
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.keypoints import SCHEMAS, Schema
from fkd.core.say import Say
from fkd.data.faces import FaceData, Faces
from fkd.data.formats import check_points, recognise

if TYPE_CHECKING:
    import pandas as pd

# Of a file in a zip archive; its last two fields are the lengths of the name and of the extra field.
_LOCAL_HEADER_BYTES = 30
_LARGEST_ARRAY_HEADER_BYTES = 4096
_ABOUT = "about.json"
FORMAT = 4  # raise it when reading the same files gives other arrays or refuses more


def load_folder(
    name: str,
    folder: Path,
    cache_folder: Path,
    say: Say = print,
    schema: Schema | None = None,
) -> FaceData:
    """Load a folder's data set from its cache, or read the files and write the cache.

    Files that are as the cache knows them (size, times and inode) are not opened. Otherwise their checksum
    decides. A damaged cache is reported and built anew; one that cannot be written is only reported.
    schema: the wanted points; None for those that are usual in the folder's format.
    Raises UserError if files are missing or wrong or hold other points.
    """
    form, files = recognise(folder)
    schema = schema or form.schema
    if not form.any_points or schema.name in SCHEMAS:
        check_points(str(folder), form.schema, schema)
    path = cache_path(name, folder, cache_folder)
    stamps = _stamps(files)
    cached = _read_cache(path, say) if path.is_file() else None
    if cached is not None and cached[0].point_names != schema.names:
        cached = None
    if cached is not None and cached[1] == stamps:
        return replace(cached[0], name=name)
    checksum = checksum_files(files)
    if cached is not None and cached[0].checksum == checksum:
        data = replace(cached[0], name=name)
    else:
        say(f"Reading {folder} ...")
        data = form.read_files(name, checksum, files, say, schema)
    _write_cache(path, data, stamps, say)
    return data


def cache_path(name: str, folder: Path, cache_folder: Path) -> Path:
    """The cache of a folder: two folders of one name have two caches."""
    place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:8]
    return cache_folder / f"{name}-{place}.npz"


def checksum_files(files: dict[str, Path]) -> str:
    """SHA-256 of the text that `sha256sum FILE ...` prints for the files, in the order of reading.

    Raises UserError for a file that cannot be read.
    """
    listing = ""
    for path in files.values():
        try:
            with path.open("rb") as stream:
                listing += f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {path.name}\n"
        except OSError as error:
            raise UserError(f"{path}: expected a readable file, received: {error}; fix this.") from error
    return hashlib.sha256(listing.encode()).hexdigest()


def _stamps(files: dict[str, Path]) -> list[list[str | int]]:
    """What tells that a file was written again: name, size in bytes, times in ns and inode of every file.

    A program may set the time of modification back, that of the last change of status it may not.
    """
    try:
        stats = [(path.name, path.stat()) for path in files.values()]
    except OSError as error:
        raise UserError(f"Expected a readable file, received: {error}; fix this.") from error
    return [[name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for name, s in stats]


def _read_cache(path: Path, say: Say) -> tuple[FaceData, list[list[str | int]]] | None:
    """The data set and the stamps of the files it was read from; None if of another format or damaged."""
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            if _ABOUT not in archive.namelist():  # as in earlier formats
                return None
            about = json.loads(archive.read(_ABOUT))
            if about["format"] != FORMAT:
                return None
            if about["crc32"] != _checksums(archive):
                raise ValueError("arrays are missing or others than were written")
            # Mapped rather than read: nothing is copied, and processes share the pages.
            content = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
            arrays = {
                name.removesuffix(".npy"): _array(content, archive.getinfo(name)) for name in about["crc32"]
            }
        return _from_arrays(about["checksum"], tuple(about["point_names"]), arrays), about["stamps"]
    except Exception as error:  # a damaged archive raises nearly every kind there is
        say(f"The cache {path} is damaged and is built anew ({type(error).__name__}: {error}).")
        return None


def _array(content: memoryview, entry: zipfile.ZipInfo) -> npt.NDArray:
    """One array of an uncompressed .npz file, read-only; raises ValueError where its CRC-32 is wrong."""
    name_and_extra = struct.unpack_from("<HH", content, entry.header_offset + _LOCAL_HEADER_BYTES - 4)
    start = entry.header_offset + _LOCAL_HEADER_BYTES + sum(name_and_extra)
    file = content[start : start + entry.file_size]
    if zlib.crc32(file) != entry.CRC:
        raise ValueError(f"wrong CRC-32 of {entry.filename}")
    header = io.BytesIO(file[:_LARGEST_ARRAY_HEADER_BYTES])
    np.lib.format.read_magic(header)
    shape, _, dtype = np.lib.format.read_array_header_1_0(header)
    return np.frombuffer(file[header.tell() :], dtype).reshape(shape)


def _write_cache(path: Path, data: FaceData, stamps: list[list[str | int]], say: Say) -> None:
    about = {
        "format": FORMAT,
        "checksum": data.checksum,
        "point_names": data.point_names,
        "stamps": stamps,
    }
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **_to_arrays(data))
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(_ABOUT, json.dumps(about | {"crc32": _checksums(archive)}))
        temporary.replace(path)
    except OSError as error:
        say(f"The cache {path} was not written ({error}); the files are read again next time.")
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _checksums(archive: zipfile.ZipFile) -> dict[str, int]:
    """The CRC-32 of every array, by its file in the archive."""
    return {entry.filename: entry.CRC for entry in archive.infolist() if entry.filename != _ABOUT}


def _to_arrays(data: FaceData) -> dict[str, npt.NDArray]:
    arrays: dict[str, npt.NDArray] = {
        "training_images": data.training.images,
        "training_keypoints": data.training.keypoints,
        "training_ids": data.training.ids,
        "test_images": data.test.images,
        "test_keypoints": data.test.keypoints,
        "test_ids": data.test.ids,
    }
    if data.groups is not None:
        arrays["groups"] = data.groups
    for table, frame in (("lookup", data.lookup), ("solution", data.solution)):
        if frame is not None:
            arrays |= {f"{table}.{column}": _plain(frame[column]) for column in frame}
    return arrays


def _plain(column: pd.Series) -> npt.NDArray:
    """Text as NumPy's fixed-width text, which needs no pickle."""
    import pandas as pd  # slow to load

    return column.to_numpy() if pd.api.types.is_numeric_dtype(column) else column.to_numpy(dtype=np.str_)


def _from_arrays(checksum: str, point_names: tuple[str, ...], arrays: dict[str, npt.NDArray]) -> FaceData:
    import pandas as pd  # slow to load

    training, test = (
        Faces(arrays[f"{part}_images"], arrays[f"{part}_keypoints"], arrays[f"{part}_ids"])
        for part in ("training", "test")
    )
    lookup, solution = (
        {
            key.removeprefix(f"{table}."): values
            for key, values in arrays.items()
            if key.startswith(f"{table}.")
        }
        for table in ("lookup", "solution")
    )
    return FaceData(
        name="",
        checksum=checksum,
        point_names=point_names,
        training=training,
        test=test,
        groups=arrays.get("groups"),
        lookup=pd.DataFrame(lookup),
        solution=pd.DataFrame(solution) if solution else None,
    )
