"""How the search for near-duplicates grows with the number of faces."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.bench.rows import seconds
from fkd.data.near_duplicates import near_hashes, perceptual_hashes
from fkd.data.source import load_data

COUNTS = (10_000, 100_000, 1_000_000)
OTHER_BITS = 0.2  # of a hash of the data: about as many as make two faces of the data two


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Seconds for hashes that are each one of the data's with a part of its bits flipped."""
    of_data = perceptual_hashes(load_data(str(data_folder), lambda line: None).training.images)
    rows = [_one_count(of_data, count) for count in COUNTS]
    return {"Near-duplicates among perceptual hashes": pd.DataFrame(rows)}


def _one_count(of_data: npt.NDArray[np.uint64], count: int) -> dict[str, str]:
    rng = np.random.default_rng(count)
    flipped = np.packbits(rng.random((count, 64)) < OTHER_BITS, axis=1).view(np.uint64)[:, 0]
    hashes = of_data[rng.integers(0, len(of_data), count)] ^ flipped
    pairs: list[npt.NDArray[np.int64]] = []
    taken_s = seconds(lambda: pairs.append(near_hashes(hashes)))
    return {"hashes": f"{count:,}", "near pairs": f"{len(pairs[0]):,}", "s": f"{taken_s:.1f}"}
