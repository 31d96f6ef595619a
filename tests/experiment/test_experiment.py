from pathlib import Path

import numpy as np
import pytest
from tiny_experiment import BY_SOURCE

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


@pytest.fixture
def by_source(tiny_experiment: Path) -> Experiment:
    """Members of `all` that go on as `many` and as `few`."""
    variants = "variants=[{}, {augmentation_magnitude: 0.5}]"
    schedule = "training.schedule={name: cosine_decay, warmup_epochs: 1}"
    return load_experiment(str(tiny_experiment), [BY_SOURCE, variants, schedule])


def test_who_continues_comes_last_and_is_otherwise_like_the_first(by_source: Experiment):
    names = [member.name for member in by_source.members]
    assert names == ["all/00", "all/01", "many/00", "few/00", "many/01", "few/01"]
    assert (by_source.beginning, by_source.continuing, by_source.ending) == (
        ["all"],
        ["many", "few"],
        ["many", "few"],
    )
    assert by_source.specialists["few"].batch_size == 8
    assert by_source.continued(by_source.members[-1]) == ("all", 1)
    assert by_source.continued(by_source.members[0]) is None


def test_who_continues_is_trained_as_it_says(by_source: Experiment):
    first, few = by_source.of_member("all", 1), by_source.of_member("few", 1)
    assert (first.training.max_epochs, few.training.max_epochs) == (3, 1)
    assert few.training.optimizer.learning_rate == 1e-3
    assert few.training.schedule.warmup_epochs == 0
    assert (first.augmentation.flip.probability, few.augmentation.flip.probability) == (0.5, 0)
    assert few.augmentation.rotation == first.augmentation.rotation
    assert by_source.of_member("many", 0).augmentation == by_source.of_member("all", 0).augmentation


def test_the_number_of_labels_tells_who_predicts_a_face(by_source: Experiment, tiny_experiment: Path):
    counts = np.array([4, 15, 0, 5, 1])
    shared = [(names, faces.tolist()) for faces, names in by_source.by_source(counts)]
    assert shared == [(["few"], [0, 4]), (["many"], [1, 3]), (["all"], [2])]
    [(faces, names)] = load_experiment(str(tiny_experiment)).by_source(counts)
    assert (names, faces.tolist()) == (["four", "eleven"], [0, 1, 2, 3, 4])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("specialists.few.continues.specialist=many", "expected one that begins anew, received many"),
        ("specialists.few.continues.specialist=nobody", "expected one that begins anew, received nobody"),
        (
            "specialists.few.members=1",
            "expected keypoints, rows, batch_size, members and validation_fold of all, which it continues",
        ),
        (
            "specialists.few.continues.labels=[1, 3]",
            "the faces with 1 to 15 labels, received (5, 15), (1, 3)",
        ),
        (
            "specialists.few.continues.labels=[1, 5]",
            "the faces with 1 to 15 labels, received (5, 15), (1, 5)",
        ),
        ("specialists.few.continues.labels=[4]", "specialists.few.continues.labels.1: Field required"),
        ("teacher=other", "expected no specialist that continues another, received one"),
    ],
)
def test_who_cannot_continue_is_refused(tiny_experiment: Path, setting: str, words: str):
    with pytest.raises(UserError) as caught:
        load_experiment(str(tiny_experiment), [BY_SOURCE, setting])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
