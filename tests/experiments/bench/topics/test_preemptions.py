import pytest

from experiments.bench.topics.preemptions import Parts, lost_share, saves_within


@pytest.mark.parametrize(("life_s", "saves"), [(5, 0), (19.9, 0), (20, 1), (29.9, 1), (30, 2)])
def test_a_machine_saves_whole_stretches_after_its_start(life_s: float, saves: int) -> None:
    assert saves_within(Parts(start_s=10, save_s=1), 9, life_s) == saves


def test_machines_that_live_long_lose_the_time_of_saving_alone() -> None:
    assert lost_share(Parts(start_s=10, save_s=1), 9, mean_life_s=1e6) == pytest.approx(0.1, abs=0.001)


def test_with_short_lives_rare_saves_lose_much() -> None:
    # Of an exponential life of mean 1, floor(life / 1) has the mean 1 / (e - 1) = 0.582.
    assert lost_share(Parts(start_s=0, save_s=0), 60, mean_life_s=60) == pytest.approx(1 - 0.582, abs=0.01)
