from pathlib import Path

import pytest

from fkd.core.errors import UserError
from fkd.experiment.files import load_experiment

pytestmark = pytest.mark.usefixtures("in_the_repository")


def test_settings_are_put_over_the_file():
    experiment = load_experiment("ensemble", ["specialists.four.members=4", "selection.policy=greedy"])
    assert experiment.specialists["four"].members == 4
    assert experiment.specialists["eleven"].members == 50
    assert experiment.selection.policy == "greedy"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.max_epochs", "expected key=value"),
        ("seed.deeper=1", "seed is a single value"),
        (f"{'a.' * 50_000}b=1", "expected key=value"),
        ("network.convolutions.7.filters=8", "one of 5 elements, counted from 0, received 7"),
        ("network.convolutions.first.filters=8", "one of 5 elements, counted from 0, received first"),
        ("network.dense.0.units=3", "0 is a single value"),
        ("training={max_epochs: 1, max_epochs: 2}", "max_epochs is given a second time"),
        ("seed=[1", "expected YAML; line 1"),
    ],
)
def test_an_override_of_another_form_is_one_clear_line(setting: str, words: str):
    with pytest.raises(UserError) as caught:
        load_experiment("ensemble", [setting])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistyped_name_gets_the_nearest_and_a_short_list():
    with pytest.raises(UserError, match=r"^resnet81: no such .* did you mean resnet18\? .*quick, student"):
        load_experiment("resnet81")
    with pytest.raises(UserError, match=r"^nought: no such experiment in experiments/; available: champion"):
        load_experiment("nought")
    with pytest.raises(UserError, match=r"^nought.yaml: expected an experiment file, found none"):
        load_experiment("nought.yaml")


@pytest.mark.parametrize(
    "spelling",
    [
        "kernel-size/3x3",
        "kernel-size-3x3",
        "published/kernel-size/3x3",
        "experiments/published/kernel-size/3x3.yaml",
    ],
)
def test_an_experiment_is_found_in_whichever_folder_it_lies(spelling: str):
    assert load_experiment(spelling).name == "kernel-size-3x3"


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def test_a_file_holds_only_what_it_changes_of_its_base(tmp_path: Path):
    _write(
        tmp_path,
        first="""
network: {convolutions: [{filters: 2, kernel: 3}, {filters: 3, kernel: 3}], dense: [4]}
training: {optimizer: {name: sgd, learning_rate: 0.5}, max_epochs: 7}
specialists: {four: {keypoints: four, members: 1}, eleven: {keypoints: eleven, members: 1}}
""",
        second="base: first\ntraining: {optimizer: {learning_rate: 0.25}}\nspecialists: {four: null}",
        third="base: second\nnetwork: {convolutions: [{filters: 5, kernel: 3}]}",
    )
    experiment = load_experiment(str(tmp_path / "third.yaml"), ["training.max_epochs=9"])
    assert experiment.name == "third"
    assert [convolution.filters for convolution in experiment.network.convolutions] == [5]
    assert [layer.units for layer in experiment.network.dense] == [4]
    assert list(experiment.specialists) == ["eleven"]
    assert experiment.training.optimizer.name == "sgd"
    assert (experiment.training.optimizer.learning_rate, experiment.training.max_epochs) == (0.25, 9)


def test_a_base_that_leads_back_to_itself_or_is_missing_is_refused(tmp_path: Path):
    _write(tmp_path, first="base: second", second="base: first", third="base: nought")
    with pytest.raises(UserError, match=r"first\.yaml: its base leads back to itself"):
        load_experiment(str(tmp_path / "first.yaml"))
    with pytest.raises(UserError, match=r"nought: no such experiment"):
        load_experiment(str(tmp_path / "third.yaml"))
    (tmp_path / "deep").mkdir()
    _write(tmp_path, other="base: deep/../other", number="base: 3")
    with pytest.raises(UserError, match=r"other\.yaml: its base leads back to itself"):
        load_experiment(str(tmp_path / "other.yaml"))
    with pytest.raises(
        UserError, match=r"number\.yaml: base: expected the name of an experiment, received 3"
    ):
        load_experiment(str(tmp_path / "number.yaml"))


def test_an_experiment_in_a_folder_carries_its_name():
    assert load_experiment("nose-tip/three").name == "nose-tip-three"


LIST = """
network: {convolutions: [&same {filters: 2, kernel: 3}, *same, *same], dense: [4, 5]}
specialists: {four: {keypoints: four, members: 1}}
"""


@pytest.mark.parametrize(
    "spelling", ["network.convolutions.1.filters=8", "network.convolutions.1={filters: 8, kernel: 3}"]
)
def test_an_element_of_a_list_goes_by_its_number(tmp_path: Path, spelling: str):
    _write(tmp_path, list=LIST)
    experiment = load_experiment(str(tmp_path / "list.yaml"), [spelling, "network.dense.0=7"])
    assert [convolution.filters for convolution in experiment.network.convolutions] == [2, 8, 2]
    assert [layer.units for layer in experiment.network.dense] == [7, 5]


def test_a_file_may_change_one_element_of_its_bases_list(tmp_path: Path):
    _write(tmp_path, list=LIST, one="base: list\nnetwork: {convolutions: {1: {filters: 8}}}")
    experiment = load_experiment(str(tmp_path / "one.yaml"))
    assert [convolution.filters for convolution in experiment.network.convolutions] == [2, 8, 2]
    _write(tmp_path, none="base: list\nnetwork: {convolutions: {3: {filters: 8}}}")
    with pytest.raises(UserError, match=r"network\.convolutions: Input should be a valid tuple"):
        load_experiment(str(tmp_path / "none.yaml"))
