"""Training with augmentation against the same compiled step on batches that lie ready in memory."""

import tempfile
from pathlib import Path
from statistics import median

import pandas as pd

from experiments.bench.rows import Row, seconds
from experiments.bench.subjects.one_member import Published, published
from fkd.training.member_training import train_together
from fkd.training.network_pool import NetworkPool

REPEATS = 5
BATCHES = 8
# The first epoch waits for its first batch and warms up; later ones find theirs prepared.
EPOCHS = 2


def measure(data_folder: Path) -> list[Row]:
    """Images a second of both by turns, medians; validation and saving are not part of either."""
    batch_size = published(data_folder).task(0).batches.batch_size
    settings = (f"training.max_epochs={EPOCHS}", "training.checkpoint_seconds=1e6")
    member = published(data_folder, *settings, training_rows=BATCHES * batch_size, validation_rows=128)
    pool = member.pool()
    _augmented_speed(member, pool), _ready_speed(member, pool)
    speeds = [(_augmented_speed(member, pool), _ready_speed(member, pool)) for _ in range(REPEATS)]
    augmented, ready = (median(speed) for speed in zip(*speeds, strict=True))
    ratio = median(augmented_once / ready_once for augmented_once, ready_once in speeds)
    return [
        Row(
            f"training images/s with augmentation, batches of {batch_size}",
            "the same network on ready arrays",
            ratio,
            0.95,
            f"{augmented:.0f} against {ready:.0f} images/s",
        )
    ]


def _augmented_speed(member: Published, pool: NetworkPool) -> float:
    """Images a second of the last epoch, as its history records them."""
    with tempfile.TemporaryDirectory() as store:
        training = member.start(0, pool, Path(store))
        train_together(pool, [training.steps()])
        (history,) = Path(store).rglob("history.csv")
        epoch = pd.read_csv(history).iloc[-1]
    return float(epoch["images"] / epoch["training_seconds"])


def _ready_speed(member: Published, pool: NetworkPool) -> float:
    """Images a second of one epoch whose batches are all made beforehand."""
    task = member.task(0)
    ready = [task.batches(1, index) for index in range(BATCHES)]
    model = pool.take(task.seed)

    def train() -> None:
        for batch in ready:
            pool.train([model], [batch])

    try:
        return len(member.training.ids) / seconds(train)
    finally:
        pool.give_back(model)
