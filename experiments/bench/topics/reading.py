"""How fast the competition's files are read: by the reader, and again from the cache."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.bench.rows import Row, seconds, side_by_side
from fkd.data.cache import load_folder
from fkd.data.csv_cells import open_csv
from fkd.data.kaggle_csv import find_files, read_training

_AGAINST = "pandas.read_csv + np.fromstring per row"
_COLD_TARGET, _AGAIN_TARGET = 8.0, 200.0
_BLOCK_BYTES = 2**20


def measure(data_folder: Path) -> list[Row]:
    """Reading training.zip and reading the folder again, each against the usual way with training.zip."""
    training = find_files(data_folder)["training"]
    with tempfile.TemporaryDirectory() as cache:

        def usual() -> None:
            pd.read_csv(training)["Image"].apply(lambda row: np.fromstring(row, sep=" "))

        def cold() -> None:
            read_training(training, _silent)

        def again() -> None:
            load_folder("bench", data_folder, Path(cache), _silent)

        cold_s, usual_s = side_by_side(cold, usual)
        unzipped_s = seconds(lambda: _read_through(training))
        first = (
            f"{cold_s:.2f} s against {usual_s:.2f} s; "
            f"unzipping alone {unzipped_s:.2f} s, 1/{usual_s / unzipped_s:.0f}"
        )
        again_s, usual_again_s = side_by_side(again, usual)
        second = f"{again_s:.4f} s, test images and tables included, against {usual_again_s:.2f} s"
    return [
        Row(f"reading {training.name}, cold", _AGAINST, usual_s / cold_s, _COLD_TARGET, first),
        Row("reading it again", _AGAINST, usual_again_s / again_s, _AGAIN_TARGET, second),
    ]


def _read_through(path: Path) -> None:
    with open_csv(path) as stream:
        while stream.read(_BLOCK_BYTES):
            pass


def _silent(line: str) -> None:
    pass
