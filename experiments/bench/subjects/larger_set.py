"""Data sets of any size from a few drawn faces, for drawing 100,000 of them would take half an hour."""

import shutil
import zipfile
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from fkd.data.faces import FaceData, Faces

_ROWS_AT_ONCE = 1000


def write_larger_files(drawn: Path, folder: Path, rows: int) -> None:
    """The competition's files whose training.csv repeats the drawn one's rows; it is not zipped."""
    folder.mkdir()
    for name in ("test.zip", "IdLookupTable.csv"):
        shutil.copyfile(drawn / name, folder / name)
    with zipfile.ZipFile(drawn / "training.zip") as archive:
        header, *lines = archive.read("training.csv").splitlines(keepends=True)
    with (folder / "training.csv").open("wb") as file:
        file.write(header)
        file.writelines(islice(cycle(lines), rows))


def larger_faces(drawn: FaceData, rows: int) -> FaceData:
    """Training faces that are each the mean of two drawn ones, so that no two look alike; the rest repeats.

    One person's faces stay one person's within a repetition and are another's in the next.
    """
    count = len(drawn.training.ids)
    repeated = np.arange(rows) % count
    partners = np.random.default_rng(0).integers(0, count, rows)
    images = np.empty((rows, *drawn.training.images.shape[1:]), np.uint8)
    for start in range(0, rows, _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        pair = (drawn.training.images[indices[block]].astype(np.uint16) for indices in (repeated, partners))
        images[block] = sum(pair) // 2
    training = Faces(images, drawn.training.keypoints[repeated], np.arange(rows))
    groups = drawn.groups[repeated] + count * (np.arange(rows) // count)
    return FaceData("larger", "", drawn.point_names, training, drawn.test, groups, drawn.lookup, None)
