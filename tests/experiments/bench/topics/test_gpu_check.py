import numpy as np
import pytest

from experiments.bench.subjects.jax_steps import StepPlan, StepTimes
from experiments.bench.topics.gpu_check import FULL, SMALL, images_to_train, plans, step_line
from fkd.experiment.files import load_experiment


def test_every_precision_number_of_members_and_batch_size_is_planned_once() -> None:
    for size in (FULL, SMALL):
        planned = plans(size)
        assert len(set(planned)) == len(planned)
        for precision in size.precisions:
            for members in size.members:
                for batch in size.batch_sizes:
                    assert StepPlan(precision, members, batch) in planned
                    assert StepPlan(size.precisions[-1], members, size.batch_sizes[0], "stacked") in planned


def test_a_line_counts_the_images_of_all_members() -> None:
    times = StepTimes(compile_s=2.5, bare_s=0.5, augmented_s=1.0, weights=np.array([1.0, 2.5]))
    alone = StepTimes(1, 1, 1, weights=np.array([1.0, 2.0]))
    line = step_line(StepPlan("TF32", members=2, batch_size=100), times, alone, peak=8e6, flops=1e4)
    assert (line["images/s, bare"], line["images/s, augmented"]) == (400, 200)
    assert (line["host's share"], line["of the matrix peak"]) == ("50%", "50.0%")
    assert line["weights apart"] == "5e-01"


@pytest.mark.parametrize(("epochs", "images"), [(1000, 524 * 50 * 30), (10, 10 * 50 * 30)])
def test_members_train_to_the_published_stop_or_their_last_epoch(epochs: int, images: int) -> None:
    experiment = load_experiment("ensemble", (f"training.max_epochs={epochs}",))
    assert images_to_train(experiment, {"four": 20, "eleven": 10}) == images
