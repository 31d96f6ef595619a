from pathlib import Path

import pytest

from fkd.errors import UserError
from fkd.experiment import Experiment, differences, load_experiment

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(REPOSITORY)


@pytest.mark.parametrize(
    "file", sorted((REPOSITORY / "experiments").glob("*.yaml")), ids=lambda file: file.stem
)
def test_every_experiment_file_is_valid_and_opens_with_purpose_command_and_observation(file: Path):
    assert load_experiment(str(file)).name == file.stem
    for line, word in zip(file.read_text().splitlines(), ("Purpose", "Command", "Observed"), strict=False):
        assert line.startswith(f"# {word}:")


def test_the_published_recipe():
    experiment = load_experiment("ensemble")
    assert experiment.training.optimizer.name == "rmsprop"
    assert (experiment.training.max_epochs, experiment.training.patience_epochs) == (1000, 50)
    four, eleven = experiment.specialists["four"], experiment.specialists["eleven"]
    assert (four.batch_size, four.rows, four.members) == (256, "labelled", 50)
    assert (eleven.batch_size, eleven.rows, eleven.members) == (128, "complete", 50)


def test_settings_are_put_over_the_file():
    experiment = load_experiment("ensemble", ["specialists.four.members=4", "selection.policy=greedy"])
    assert experiment.specialists["four"].members == 4
    assert experiment.specialists["eleven"].members == 50
    assert experiment.selection.policy == "greedy"


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
        ("training.max_epochs", "expected key=value"),
        ("seed.deeper=1", "seed is a single value"),
        ("specialists.four.keypoints=five", "must be one of all, four, eleven"),
        ("specialists.four.keypoints=all", "which another one predicts too"),
        ("augmentation.elastic.amplitude_px=9", "folds over itself"),
        ("seed=[1", "expected a YAML value"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(setting: str, words: str):
    with pytest.raises(UserError) as caught:
        load_experiment("ensemble", [setting])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_the_experiments_at_hand():
    with pytest.raises(UserError, match=r"experiments/nought.yaml: no such experiment file.*ensemble"):
        load_experiment("nought")


@pytest.mark.parametrize("text", ["- a list", "a: [", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"bad\.yaml: expected"):
        load_experiment(str(file))


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
