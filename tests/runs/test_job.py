from pathlib import Path

import numpy as np

from fkd.data.faces import Faces
from fkd.experiment.files import load_experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run
from fkd.runs.job import Job
from fkd.runs.splits import Split

NOBODY = Faces(np.zeros((0, 96, 96), np.uint8), np.zeros((0, 15, 2), np.float32), np.zeros(0, np.int64))


def _job(experiment_file: Path, *settings: str, only: tuple[MemberId, ...] = ()) -> Job:
    """Eight faces train four, five train eleven."""
    splits = {
        name: Split(np.arange(rows), np.arange(9, 12), np.arange(3))
        for name, rows in (("four", 8), ("eleven", 5))
    }
    experiment = load_experiment(str(experiment_file), settings)
    return Job(
        run=Run(Path("tiny")), experiment=experiment, faces=NOBODY, splits=splits, test=NOBODY, only=only
    )


def test_all_members_are_wanted_in_their_order_unless_some_are_named(tiny_experiment: Path):
    assert _job(tiny_experiment).members == [("four", 0), ("eleven", 0), ("four", 1)]
    wanted = (MemberId("four", 1),)
    assert _job(tiny_experiment, only=wanted).members == wanted


def test_epochs_follow_from_the_training_rows(tiny_experiment: Path):
    job = _job(tiny_experiment, "training.max_images=10")
    assert job.images_per_epoch == {"four": 8, "eleven": 5}
    assert job.max_epochs == {"four": 2, "eleven": 2}
    assert _job(tiny_experiment, "training.max_images=8").max_epochs == {"four": 1, "eleven": 2}
    assert _job(tiny_experiment).max_epochs == {"four": 3, "eleven": 3}
