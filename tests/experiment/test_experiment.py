from pathlib import Path

import numpy as np
import pytest

from fkd.core.errors import UserError
from fkd.experiment.experiment import Experiment, differences
from fkd.experiment.files import load_experiment

pytestmark = pytest.mark.usefixtures("in_the_repository")


def test_the_published_recipe():
    experiment = load_experiment("ensemble")
    assert experiment.training.optimizer.name == "rmsprop"
    assert (experiment.training.max_epochs, experiment.training.patience_epochs) == (1000, 50)
    four, eleven = experiment.specialists["four"], experiment.specialists["eleven"]
    assert (four.batch_size, four.rows, four.members) == (256, "labelled", 50)
    assert (eleven.batch_size, eleven.rows, eleven.members) == (128, "complete", 50)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("trainning.max_epochs=3", "ensemble.yaml --set trainning.max_epochs=3: trainning: there is no such"),
        ("training.max_epoch=3", "training.max_epoch"),
        (
            "training.max_epochs=0",
            "training.max_epochs: Input should be greater than or equal to 1; received 0",
        ),
        ("training.max_epochs=many", "received 'many'"),
        ("specialists.four.keypoints=five", "kaggle15 has the subsets all, four, eleven"),
        ("specialists.four.keypoints=[nose]", "kaggle15 has no point 'nose'"),
        ("keypoint_schema=kaggle16", "must be one of kaggle15, ibug68, imm73"),
        ("keypoint_schema=[left_eye]", "expected 'right_eye' beside its mirror twin"),
        ("network.kind=transformer", "network: "),
        ("network.batch_norm=true", "network.batch_norm: there is no such setting"),
        ("network.convolutions=[]", "network.convolutions: "),
        ("training.loss=kl_divergence", "are for networks that draw maps"),
        ("training.map_divergence=1", "are for networks that draw maps"),
        ("training.schedule.name=warm", "training.schedule: "),
        ("training.schedule={name: exponential_decay, rate: 1}", "training.schedule.epochs: Field required"),
        ("prediction.detector=yunet", "prediction.detector: Input should be 'none' or 'haar'"),
        ("specialists.four.keypoints=all", "which one with other points predicts, too"),
        (
            "specialists.four.validation_fold=5",
            "expected at most 4, as a validation_fraction of 0.2",
        ),
        ("augmentation.elastic.amplitude_px=9", "folds over itself"),
        ("variants=[]", "variants: "),
        ("name=../../evil", "name: expected a name without slashes"),
        ("teacher=../evil", "teacher: expected a name without slashes"),
        ("specialists={../../evil: {keypoints: four, members: 1}}", "expected a name without slashes"),
        ("specialists={selection.json: {keypoints: four, members: 1}}", "does not end like a file of a run"),
        ("specialists.four.keypoints=[]", "specialists.four.keypoints: expected at least one point"),
        ("specialists.four.members=1000000000", "less than or equal to 1000; received 1000000000"),
        ("specialists.four.batch_size=10000000", "less than or equal to 1000000"),
        ("training.max_epochs=10000000", "less than or equal to 1000000"),
        ("training.optimizer.learning_rate=.nan", "Input should be a finite number"),
        ("prediction.views=1000000000", "less than or equal to 1000"),
        ("resources.cpus=1000000000", "less than or equal to 1024"),
        ("network.convolutions.0.filters=10000000", "less than or equal to 4096"),
        ("network.convolutions.0.kernel=1000", "less than or equal to 96"),
        (
            "network={kind: heatmap, filters: [4096, 4096]}",
            "network: expected at most 250,000,000 parameters",
        ),
        ("network={kind: heatmap, filters: [true]}", "network.filters.0: Input should be a valid integer"),
        ("seed=-1", "greater than or equal to 0"),
        ("seed=18446744073709551616", "less than 18446744073709551616"),
        ("validation_fraction=5.0e-324", "greater than or equal to 0.0001"),
        ("variants=[{augmentation_magnitude: 2}]", "Input should be less than or equal to 1; received 2"),
        ("variants=[{map_divergence: 0.1}]", "are for networks that draw maps"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(setting: str, words: str):
    with pytest.raises(UserError) as caught:
        load_experiment("ensemble", [setting])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_differences_name_the_setting_and_both_values():
    a = load_experiment("ensemble")
    b = load_experiment("ensemble", ["training.max_epochs=40"])
    assert differences(a, b) == ["training.max_epochs: 1000 -> 40"]
    assert differences(a, a) == []


def _with_members(four: int, eleven: int) -> Experiment:
    return load_experiment(
        "ensemble", [f"specialists.four.members={four}", f"specialists.eleven.members={eleven}"]
    )


def test_members_come_in_rounds():
    assert _with_members(2, 1).members == [("four", 0), ("eleven", 0), ("four", 1)]


def test_a_member_seed_depends_on_seed_specialist_and_index_alone():
    few, many = _with_members(1, 1), _with_members(9, 9)
    assert few.member_seed("four", 0) == many.member_seed("four", 0)
    seeds = {many.member_seed(*member) for member in many.members}
    assert len(seeds) == 18


def test_points_may_be_listed():
    settings = [
        "keypoint_schema=[left_eye, right_eye, nose]",
        "specialists={eyes: {keypoints: all, members: 1}}",
    ]
    experiment = load_experiment("scaled-sigmoid", settings)
    assert experiment.schema_points.columns[:2] == ("left_eye_x", "left_eye_y")
    assert experiment.schema_points.twins.tolist() == [1, 0, 2]


def test_twins_among_a_specialists_points(tiny_experiment: Path):
    experiment = load_experiment(str(tiny_experiment))
    assert experiment.twin_positions("four").tolist() == [1, 0, 2, 3]  # the eyes are each other's
    alone = "specialists.four.keypoints=[nose_tip, left_eye_center]"
    assert load_experiment(str(tiny_experiment), [alone]).twin_positions("four") is None
    with pytest.raises(UserError, match="expected every point of four with its left/right twin"):
        load_experiment(str(tiny_experiment), [alone, "prediction.mirrored=true"])


def test_members_with_shared_batches_share_their_changes(tiny_experiment: Path):
    settings = ["training.shared_batches=true", "variants=[{}, {augmentation_magnitude: 0.5}]"]
    with pytest.raises(UserError, match=r"expected one with training.shared_batches, received 2"):
        load_experiment(str(tiny_experiment), settings)


def test_specialists_of_other_folds_may_share_their_points(tiny_experiment: Path):
    fold = "specialists.fold={keypoints: four, members: 1, validation_fold: 1}"
    experiment = load_experiment(str(tiny_experiment), [fold])
    np.testing.assert_array_equal(experiment.point_indices("fold"), experiment.point_indices("four"))
