import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fkd.experiment.training import ReduceOnPlateau, Training


@pytest.mark.parametrize(
    ("max_images", "epochs"), [(None, 3), (1, 1), (20, 1), (21, 2), (60, 3), (61, 3), (10**9, 3)]
)
def test_a_training_has_the_epochs_that_its_images_fill_and_no_more_than_allowed(
    max_images: int | None, epochs: int
):
    assert Training(max_epochs=3, max_images=max_images).epochs_at_most(images_per_epoch=20) == epochs


@pytest.mark.parametrize(
    ("max_images", "batches"),
    [(None, [3, 3]), (36, [3, 2]), (37, [3, 3]), (100, [3, 3])],  # 16 images are two batches of 8, 17 three
)
def test_the_last_epoch_ends_with_the_batch_that_reaches_the_images(
    max_images: int | None, batches: list[int]
):
    training = Training(max_images=max_images)
    assert [training.batches_in_epoch(epoch, 20, 8) for epoch in (0, 1)] == batches


@given(st.integers(1, 500), st.integers(1, 60), st.integers(1, 20))
def test_no_more_than_one_batch_beyond_the_images_asked_for(max_images: int, per_epoch: int, batch_size: int):
    training, trained = Training(max_epochs=10**6, max_images=max_images), 0
    for epoch in range(training.epochs_at_most(per_epoch)):
        batches = training.batches_in_epoch(epoch, per_epoch, batch_size)
        assert batches > 0
        trained += min(batches * batch_size, per_epoch)
    assert max_images <= trained < max_images + batch_size


def test_a_schedule_is_told_by_its_name():
    assert Training().schedule.name == "constant"
    schedule = Training.model_validate({"schedule": {"name": "reduce_on_plateau", "factor": 0.5}}).schedule
    assert schedule == ReduceOnPlateau(name="reduce_on_plateau", factor=0.5, patience_epochs=10)
    with pytest.raises(ValidationError, match=r"schedule.cosine_decay.rate\n.*not permitted"):
        Training.model_validate({"schedule": {"name": "cosine_decay", "rate": 0.5}})


@pytest.mark.parametrize(
    "setting",
    [
        {"max_epochs": 0},
        {"max_images": 0},
        {"patience_epochs": 0},
        {"checkpoint_seconds": -1},
        {"weight_averaging": 1},
        {"loss": "mean"},
        {"precision": "float16"},
        {"optimizer": {"learning_rate": 0}},
        {"optimizer": {"name": "rmsprob"}},
    ],
    ids=str,
)
def test_what_trains_nobody_is_refused(setting: dict[str, object]):
    with pytest.raises(ValidationError, match=next(iter(setting))):
        Training.model_validate(setting)
