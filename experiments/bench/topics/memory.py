"""How much memory a whole training takes, from the files and from the cache."""

import subprocess
import sys
import tempfile
from pathlib import Path

from experiments.bench.conditions import REPOSITORY
from experiments.bench.rows import Row
from experiments.bench.subjects.command import FKD
from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.data.synthetic.data_set import write_synthetic

_TRAINING_FACES, _TEST_FACES = 7049, 1783  # the competition's
_LIMIT_BYTES = 1.5e9
_EXPERIMENT = REPOSITORY / "experiments/ensemble.yaml"
_SETTINGS = ("training.max_images=1024", "specialists.four.members=2", "specialists.eleven.members=2")
# A process counts the memory of the one that started it as its own peak: between them stands a small one.
_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
kibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(1024 * kibibytes)
"""


def measure(data_folder: Path) -> list[Row]:
    """The larger peak of two trainings of ensemble.yaml, the first without a cache.

    data_folder is not looked at: the synthetic set alone can have as many faces as the competition's.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_synthetic(folder / "faces", training_faces=_TRAINING_FACES, test_faces=_TEST_FACES)
        cold_bytes, cached_bytes = (_training_peak_bytes(folder, store) for store in ("cold", "cached"))
    images_bytes = (_TRAINING_FACES + _TEST_FACES) * IMAGE_SIZE_PX**2
    detail = (
        f"{cold_bytes / 1e9:.2f} GB from the files, {cached_bytes / 1e9:.2f} GB from the cache; "
        f"all images are {images_bytes / 1e9:.2f} GB as uint8, {4 * images_bytes / 1e9:.2f} GB as float32"
    )
    ratio = _LIMIT_BYTES / max(cold_bytes, cached_bytes)
    return [Row(f"peak memory, training on {_TRAINING_FACES:,} images", "1.5 GB", ratio, 1.0, detail)]


def _training_peak_bytes(folder: Path, store: str) -> int:
    """The largest resident set of one `fkd train`; the cache stands in the working folder."""
    train = [str(FKD), "train", str(_EXPERIMENT), "--data", "faces", "--store", store]
    settings = [word for setting in _SETTINGS for word in ("--set", setting)]
    call = [sys.executable, "-c", _PEAK, *train, *settings]
    return int(subprocess.run(call, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout)
