"""Tiny sets of the competition's files for tests: tables as lists of lines, line 1 being the header."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fkd.core.keypoints import IMAGE_SIZE_PX, KAGGLE15

Table = list[list[str]]
PIXELS = IMAGE_SIZE_PX**2


def image_pixels(seed: int) -> np.ndarray:
    """Every grey value occurs, in an order of this seed's."""
    return np.random.default_rng(seed).permutation(np.arange(PIXELS) % 256).astype(np.uint8)


def pixel_text(seed: int) -> str:
    return " ".join(map(str, image_pixels(seed)))


def competition_tables() -> dict[str, Table]:
    """Three training faces (coordinate c of face f at 10 f + c pixels), two images that ask for 30 and 8."""
    columns = KAGGLE15.columns
    four = [f"{name}_{axis}" for name in KAGGLE15.subsets["four"] for axis in "xy"]
    asked = [("1", name) for name in columns] + [("2", name) for name in four]
    return {
        "training": [[*columns, "Image"]]
        + [[*(f"{10 * face + c}.0" for c in range(len(columns))), pixel_text(face)] for face in range(3)],
        "test": [["ImageId", "Image"], ["1", pixel_text(11)], ["2", pixel_text(12)]],
        "IdLookupTable": [["RowId", "ImageId", "FeatureName", "Location"]]
        + [[str(row_id), image, name, "?"] for row_id, (image, name) in enumerate(asked, start=1)],
        "groups": [["row", "group"], ["0", "5"], ["1", "5"], ["2", "6"]],
        "solution": [["RowId", "Location", "Usage"]]
        + [[str(row_id), f"{row_id}.5", "Public"] for row_id in range(1, len(asked) + 1)],
    }


def to_text(table: Table) -> str:
    return "".join(",".join(line) + "\n" for line in table)


def write_table(folder: Path, stem: str, table: Table, zipped: bool = False) -> Path:
    if not zipped:
        path = folder / f"{stem}.csv"
        path.write_text(to_text(table))
        return path
    path = folder / f"{stem}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{stem}.csv", to_text(table))
    return path


def write_competition(folder: Path, change: Callable[[dict[str, Table]], object] | None = None) -> Path:
    """Write all five files into a new folder, after `change` has had its way with the tables."""
    tables = competition_tables()
    if change is not None:
        change(tables)
    folder.mkdir(parents=True, exist_ok=True)
    for stem, table in tables.items():
        write_table(folder, stem, table, zipped=stem in ("training", "test"))
    return folder
