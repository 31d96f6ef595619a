"""Several members in one step: images x members a second against K, beside one network at larger batches."""

from pathlib import Path

import numpy as np
import pandas as pd

from experiments.bench.rows import seconds
from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.experiment.files import load_experiment
from fkd.training.augment import Batch
from fkd.training.network_pool import NetworkPool

MEMBERS_AT_ONCE = (1, 2, 4, 8)
LARGER_BATCHES = (256, 512, 1024)
REPEATS = 5
IMAGES = 1466  # only counts the schedule's steps


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Speed of the published eleven-point network, ready batches, medians of REPEATS steps by turns."""
    experiment = load_experiment("ensemble")
    size = experiment.specialists["eleven"].batch_size
    pool = NetworkPool(experiment, "eleven", IMAGES)
    models = [pool.take((number,)) for number in range(max(MEMBERS_AT_ONCE))]
    plans = [(k, size) for k in MEMBERS_AT_ONCE] + [(1, larger) for larger in LARGER_BATCHES]
    taken_s: dict[tuple[int, int], list[float]] = {plan: [] for plan in plans}
    for turn in range(REPEATS + 1):
        for k, images in plans:
            batches = [noise(images)] * k
            step_s = seconds(lambda k=k, batches=batches: pool.train(models[:k], batches))
            if turn:  # the first one traces
                taken_s[k, images].append(step_s)
    speeds = {plan: plan[0] * plan[1] / float(np.median(steps_s)) for plan, steps_s in taken_s.items()}
    alone, largest = speeds[1, size], speeds[1, LARGER_BATCHES[-1]]
    table = pd.DataFrame(
        [
            {
                "members at once": k,
                "batch of each": images,
                "images x members/s": round(speed),
                "against one member": round(speed / alone, 2),
                "against one at the largest batch": round(speed / largest, 2),
            }
            for (k, images), speed in speeds.items()
        ]
    )
    return {"Members at once": table}


def noise(images: int) -> Batch:
    """A batch of noise for eleven points; what is in it takes no time more or less."""
    rng = np.random.default_rng(0)
    pixels = rng.random((images, IMAGE_SIZE_PX, IMAGE_SIZE_PX, 1), dtype=np.float32)
    return pixels, rng.uniform(-1, 1, (images, 22)).astype(np.float32)
