"""Every experiment file loads, builds and draws; one of each kind trains; parameters counted by hand."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from repository import REPOSITORY
from rich.console import Console

from fkd.data.faces import Faces
from fkd.ensemble.predict import predict_ensemble
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import EXPERIMENTS_FOLDER, load_experiment
from fkd.experiment.network import Network
from fkd.experiment.prediction import Prediction
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run
from fkd.runs.progress import Progress
from fkd.runs.status import run_status
from fkd.training.batches import member_batches
from fkd.training.member_task import MemberTask
from fkd.training.member_training import MemberTraining, train_together
from fkd.training.network_pool import NetworkPool
from fkd.training.networks.build import build_model

NOT_EXPERIMENTS = (
    "comparisons/comparison",
    "comparisons/published-budgets",
    "comparisons/ablation",
    "comparisons/pixel-changes",
    "spot/skypilot",
    "spot/ray-cluster",
)
NAMES = sorted(
    name
    for file in (REPOSITORY / EXPERIMENTS_FOLDER).rglob("*.yaml")
    if (name := file.relative_to(REPOSITORY / EXPERIMENTS_FOLDER).with_suffix("").as_posix())
    not in NOT_EXPERIMENTS
)
# These train networks of the others, otherwise or shorter; champion-gpu a larger one.
VARIANTS = {"passes": ["eleven"], "ablation": ["all"], "ablation/specialists": ["four", "eleven"]}
VARIANTS["champion-gpu"] = ["all", "fold-1", "fold-2", "fold-3", "fold-4"]
VARIANTS["champion-by-source"] = ["all", "many-labels", "few-labels"]
SYSTEMS = [name for name in NAMES if name.partition("/")[0] not in VARIANTS]


pytestmark = pytest.mark.usefixtures("in_the_repository")


def test_the_published_systems_are_here():
    names = {load_experiment(name).name for name in SYSTEMS}
    assert {
        *("ensemble", "ensemble-basic", "ensemble-sgd", "ensemble-adagrad", "ensemble-3x3"),
        *("scaled-sigmoid", "scaled-sigmoid-bn", "resnet50", "resnet18", "resnet18-drawn", "baseline-net"),
        *("nose-tip-three", "nose-tip-four", "nose-tip-three-5x5"),
        *("kernel-size-3x3", "kernel-size-5x5", "kernel-size-7x7", "kernel-size-9x9"),
        *("resnet18-68", "resnet18-68-plain", "resnet34-68", "resnet34-68-plain"),
        *("heatmap-15", "heatmap-68"),
    } <= names


@pytest.mark.parametrize("name", NAMES)
def test_a_file_opens_with_purpose_command_and_observation(name: str):
    lines = (EXPERIMENTS_FOLDER / f"{name}.yaml").read_text().splitlines()
    starts = [line.partition(":")[0] for line in lines if line.startswith("# ")]
    assert [start for start in starts if start in ("# Purpose", "# Command", "# Observed")] == [
        "# Purpose",
        "# Command",
        "# Observed",
    ]


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(SYSTEMS)))
def test_a_variant_of_another_file_loads(name: str):
    expected = VARIANTS.get(name) or VARIANTS[name.partition("/")[0]]
    assert list(load_experiment(name).specialists) == expected


def test_every_fold_of_the_champion_for_a_gpu_validates_on_other_faces():
    folds = load_experiment("champion-gpu").specialists.values()
    assert [fold.validation_fold for fold in folds] == [0, 1, 2, 3, 4]


def _faces(experiment: Experiment, count: int) -> Faces:
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 96, 96), np.uint8)
    points = len(experiment.schema_points.names)
    return Faces(images, rng.uniform(10, 85, (count, points, 2)).astype(np.float32), np.arange(count))


def _one_of_a_kind() -> list[str]:
    """Systems that each have a kind of network, a loss, an optimizer or a schedule that none before has."""
    seen: set[str] = set()
    new = []
    with pytest.MonkeyPatch.context() as place:
        place.chdir(REPOSITORY)
        for name in SYSTEMS:
            experiment = load_experiment(name)
            training = experiment.training
            choices = (training.loss, training.optimizer.name, training.schedule.name)
            kinds = {*choices, str(_choices(experiment.network.model_dump()))}
            if kinds - seen:
                new.append(name)
            seen |= kinds
    return new


def _choices(settings: object) -> object:
    """Settings without their numbers and without what lists hold."""
    if isinstance(settings, dict):
        return {name: _choices(value) for name, value in settings.items() if name != "weights"}
    return settings if isinstance(settings, str | bool) else type(settings).__name__


def _narrow(network: Network) -> Network:
    """The same network of the least depth, with a sixteenth of the filters and units."""
    settings = network.model_dump()
    for layer in (*settings.get("convolutions", ()), *settings.get("dense", ()), settings):
        for width in layer.keys() & {"filters", "units"}:
            layer[width] = (-(-np.array(layer[width]) // 16)).tolist()
    if network.kind == "resnet":
        settings["depth"] = 18
    return type(network).model_validate(settings)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_file_draws_a_batch(name: str):
    experiment = load_experiment(name)
    faces = _faces(experiment, 2)
    for specialist in experiment.specialists:
        images, _ = member_batches(experiment, specialist, faces)[0](0, 0)
        assert images.shape[1:] == (96, 96, 1)
        assert np.isfinite(images).all()


@pytest.mark.parametrize("name", _one_of_a_kind())
def test_a_file_trains_one_epoch_and_predicts(tmp_path: Path, name: str):
    settings = ["training.max_epochs=1"]
    if load_experiment(name).network.kind == "resnet":
        settings.append("network.weights=none")
    if load_experiment(name).training.schedule.name == "cosine_decay":
        settings.append("training.schedule.warmup_epochs=0")
    experiment = load_experiment(name, settings)
    experiment = experiment.model_copy(update={"network": _narrow(experiment.network)})
    run = Run(tmp_path / f"{experiment.name}-noise")
    training, validation = _faces(experiment, 4), _faces(experiment, 2)
    epochs = dict.fromkeys(experiment.specialists, 1)
    progress = Progress(run_status(run, experiment), epochs, epochs, Console(quiet=True))
    for specialist in experiment.specialists:
        folder = run.member(specialist, 0)
        folder.path.mkdir(parents=True)
        batches = member_batches(experiment, specialist, training)[0]
        task = MemberTask(experiment, MemberId(specialist, 0), batches, validation)
        pool = NetworkPool(experiment, specialist, images_per_epoch=4)
        member = MemberTraining(
            task, folder, pool, progress, why_stop=lambda: None, on_saved=lambda folder: None, unsaved=set()
        )
        train_together(pool, [member.steps()])
    experiment = experiment.model_copy(update={"prediction": Prediction()})
    chosen = {specialist: [0] for specialist in experiment.specialists}
    images = np.concatenate([training.images, validation.images])
    predictions = predict_ensemble(run, experiment, chosen, images)
    assert predictions.shape == (6, *training.keypoints.shape[1:])
    for specialist, settings in experiment.specialists.items():
        points = experiment.schema_points.indices(settings.keypoints)
        assert np.isfinite(predictions[:, points]).all()
        validated = np.load(run.member(specialist, 0).validation)
        np.testing.assert_allclose(predictions[len(training.images) :, points], validated, atol=1e-3)


def _convolutions(kernel: int, *filters: int, channels: int = 1) -> int:
    """Weights of a chain of square convolutions, one bias a filter."""
    inputs = (channels, *filters)
    return sum((kernel**2 * before + 1) * after for before, after in zip(inputs, filters, strict=False))


def _dense(*units: int) -> int:
    """Weights of a chain of dense layers from its number of inputs on, one bias a unit."""
    return sum((before + 1) * after for before, after in pairwise(units))


BN = 4  # scale, shift, mean and variance of a channel
SIGMOID_HEAD = (512, 256, 128, 30)
FIVE = (16, 32, 64, 128, 256)
NORMALISED = (32, 32, 64, 64, 96, 96, 128, 128, 256, 256, 512, 512)
ENSEMBLE = BN + _convolutions(5, 24, 36, 48) + _convolutions(3, 64, 64, channels=48) + _dense(64, 500, 90, 8)
BY_HAND = {
    "ensemble": ENSEMBLE,
    "ensemble-basic": ENSEMBLE,
    "ensemble-sgd": ENSEMBLE,
    "ensemble-adagrad": ENSEMBLE,
    "ensemble-3x3": BN + _convolutions(3, 24, 36, 48, 64, 64) + _dense(64, 500, 90, 8),
    "quick": BN
    + _convolutions(5, 16, 24, 32)
    + _convolutions(3, 48, 48, channels=32)
    + _dense(48, 200, 60, 8),
    "scaled-sigmoid": _convolutions(7, 64)
    + _convolutions(3, 128, 128, 256, 256, 512, 512, channels=64)
    + _dense(5 * 5 * 512, *SIGMOID_HEAD),
    "scaled-sigmoid-bn": _convolutions(3, *NORMALISED)
    + BN * sum(NORMALISED)
    + _dense(3 * 3 * 512, *SIGMOID_HEAD),
    "baseline-net": _convolutions(3, 64, 64, 128, 128, 256) + _dense(3 * 3 * 256, 1024, 512, 30),
    "nose-tip-three": _convolutions(3, 12, 24, 32) + _dense(12 * 12 * 32, 128, 2),
    "nose-tip-four": _convolutions(3, 12, 24, 32, 32) + _dense(6 * 6 * 32, 128, 2),
    "nose-tip-three-5x5": _convolutions(5, 12, 24, 32) + _dense(12 * 12 * 32, 128, 2),
    **{
        f"kernel-size-{kernel}x{kernel}": _convolutions(kernel, *FIVE) + _dense(3 * 3 * 256, 256, 2 * 73)
        for kernel in (3, 5, 7, 9)
    },
}


def test_the_published_member_has_208470_weights():
    assert (
        BY_HAND["ensemble"]
        == (4 + (25 * 1 + 1) * 24 + (25 * 24 + 1) * 36 + (25 * 36 + 1) * 48 + (9 * 48 + 1) * 64)
        + ((9 * 64 + 1) * 64 + (64 + 1) * 500 + (500 + 1) * 90 + (90 + 1) * 8)
        == 208_470
    )


@pytest.mark.parametrize("name", SYSTEMS)
def test_parameters_of_plain_networks_are_as_counted_by_hand(name: str):
    experiment = load_experiment(name)
    if experiment.network.kind != "cnn":
        pytest.skip("not a plain network; its own tests count some of its layers")
    first = next(iter(experiment.specialists.values()))
    points = len(experiment.schema_points.indices(first.keypoints))
    assert build_model(experiment.network, points, (0,)).count_params() == BY_HAND[experiment.name]


def test_the_flattened_maps_are_those_published():
    shapes = {}
    for name in ("scaled-sigmoid", "scaled-sigmoid-bn"):
        model = build_model(load_experiment(name).network, 15, (0,))
        flatten = next(layer for layer in model.layers if type(layer).__name__ == "Flatten")
        shapes[name] = flatten.input.shape[1:]
    assert shapes == {"scaled-sigmoid": (5, 5, 512), "scaled-sigmoid-bn": (3, 3, 512)}
