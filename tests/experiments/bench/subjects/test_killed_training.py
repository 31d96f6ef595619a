import pytest

from experiments.bench.subjects.killed_training import pace
from fkd.training.state import TrainingState


def test_a_member_is_as_fast_as_its_fastest_epoch_or_the_one_in_hand() -> None:
    begun = TrainingState(epoch_images=100, epoch_seconds=4.0)
    assert pace(begun) == pytest.approx(25)
    begun.history = [{"images": 90.0, "seconds": seconds} for seconds in (9.0, 3.0)]
    assert pace(begun) == pytest.approx(30)
