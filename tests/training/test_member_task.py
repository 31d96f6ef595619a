import zlib
from pathlib import Path

import numpy as np

from fkd.data.faces import Faces
from fkd.experiment.files import load_experiment
from fkd.experiment.specialists import MemberId
from fkd.training.batches import member_batches
from fkd.training.member_task import MemberTask


def _task(experiment_file: Path, specialist: str, index: int, *settings: str) -> MemberTask:
    faces = Faces(np.zeros((4, 96, 96), np.uint8), np.full((4, 15, 2), 40, np.float32), np.arange(4))
    experiment = load_experiment(str(experiment_file), settings)
    batches = member_batches(experiment, specialist, faces)[index]
    return MemberTask(experiment.of_member(specialist, index), MemberId(specialist, index), batches, faces)


def test_a_task_is_its_members(tiny_experiment: Path):
    task = _task(tiny_experiment, "four", 1)
    assert (task.name, task.specialist) == ("four/01", "four")
    assert task.seed == (3, zlib.crc32(b"four"), 1)


def test_members_of_a_kind_differ_in_no_more_than_their_pictures(tiny_experiment: Path):
    variants = (
        "network={kind: heatmap, filters: [2]}",
        "specialists.four.members=3",
        "variants=[{}, {augmentation_magnitude: 0.5}, {map_divergence: 0.1}]",
    )
    first, other_pictures, other_loss = (_task(tiny_experiment, "four", i, *variants) for i in range(3))
    assert first.kind == other_pictures.kind != other_loss.kind
    assert first.kind != _task(tiny_experiment, "eleven", 0, *variants).kind
