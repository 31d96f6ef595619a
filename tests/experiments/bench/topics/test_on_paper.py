import pytest

from experiments.bench.topics.on_paper import Machine, Work, cost


@pytest.mark.parametrize(("cores", "limit", "minutes"), [(10, "host", "60"), (100, "GPU", "20")])
def test_a_machine_is_as_fast_as_the_slower_of_its_halves(cores: int, limit: str, minutes: str) -> None:
    # 36 million images: 10 cores prepare 10,000 a second, an hour; a tenth of 300 T trains on 30,000.
    work = Work(images=36_000_000, flops=1e9, images_a_core=1000)
    dollars = {"host": "3.00", "GPU": "1.00"}[limit]
    expected = f"{minutes} min ({limit}), ${dollars}"
    assert cost(Machine("", 300, cores, dollars=3.0), work)["at 10% of the peak"] == expected
