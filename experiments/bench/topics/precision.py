"""Training steps in mixed bfloat16 beside float32: speed alone; the error stands with the topic `passes`."""

from collections.abc import Callable
from pathlib import Path

from experiments.bench.rows import Row, side_by_side
from experiments.bench.topics.at_once import IMAGES, noise
from fkd.experiment.files import load_experiment
from fkd.training.device import precision_note
from fkd.training.network_pool import NetworkPool

STEPS = 3


def measure(data_folder: Path) -> list[Row]:
    """Training images/s of the published eleven-point network on ready batches."""
    halves_s, float32_s = side_by_side(_steps("mixed_bfloat16"), _steps("float32"))
    images = STEPS * load_experiment("ensemble").specialists["eleven"].batch_size
    speeds = f"{images / halves_s:,.0f} against {images / float32_s:,.0f} images/s"
    detail = f"{speeds}{precision_note('mixed_bfloat16')}"
    return [Row("training in mixed_bfloat16", "float32", float32_s / halves_s, 1.6, detail)]


def _steps(precision: str) -> Callable[[], object]:
    experiment = load_experiment("ensemble", [f"training.precision={precision}"])
    pool = NetworkPool(experiment, "eleven", IMAGES)
    model, batch = pool.take((0,)), noise(experiment.specialists["eleven"].batch_size)
    return lambda: [pool.train([model], [batch]) for _ in range(STEPS)]
