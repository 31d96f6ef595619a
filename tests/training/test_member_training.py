import csv
import json
from contextlib import suppress
from itertools import count, cycle
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rich.console import Console
from tiny_experiment import TINY_EXPERIMENT

import fkd.training.member_files
import fkd.training.member_training
import fkd.training.network_pool
from fkd.core.errors import UserError
from fkd.core.interrupt import InterruptedTrainingError
from fkd.core.keypoints import KAGGLE15
from fkd.core.metrics import rmse_px
from fkd.data.faces import Faces
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import MemberFolder, Run, damaged_files
from fkd.runs.progress import Progress
from fkd.runs.status import run_status
from fkd.training.batches import member_batches
from fkd.training.member_task import MemberTask
from fkd.training.member_training import MemberTraining, Steps, ToJudge, ToTrain, train_together
from fkd.training.network_pool import NetworkPool

LOOP, FILES, POOL = fkd.training.member_training, fkd.training.member_files, fkd.training.network_pool
TIMES = {"seconds": "", "training_seconds": ""}


def _faces(count: int, seed: int) -> Faces:
    """Dark frames with one bright square; every point is at the square's centre."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, 96, 96), np.uint8)
    centres = rng.integers(20, 76, (count, 2))
    for image, (x, y) in zip(images, centres, strict=True):
        image[y - 8 : y + 9, x - 8 : x + 9] = 200
    keypoints = np.repeat(centres[:, None, :], len(KAGGLE15.names), axis=1).astype(np.float32)
    return Faces(images, keypoints, np.arange(count))


def _train(
    store: Path,
    experiment: Experiment,
    index: int = 0,
    why_stop: str | None = None,
    validation: Faces | None = None,
    stop_after: int = 1,
    pool: NetworkPool | None = None,
) -> MemberFolder:
    pool = pool or _pool(experiment)
    folder, steps = _member(store, experiment, pool, index, why_stop, validation, stop_after)
    train_together(pool, [steps])
    return folder


def _pool(experiment: Experiment) -> NetworkPool:
    return NetworkPool(experiment, "four", images_per_epoch=20)


def _member(
    store: Path,
    experiment: Experiment,
    pool: NetworkPool,
    index: int,
    why_stop: str | None = None,
    validation: Faces | None = None,
    stop_after: int = 1,
) -> tuple[MemberFolder, Steps]:
    """A member and its steps; a reason to stop is given after so many batches and validations."""
    asked = count(1)
    run = Run(store / "tiny-squares")
    members = run_status(run, experiment)
    images = dict.fromkeys(experiment.specialists, 20)
    epochs = dict.fromkeys(experiment.specialists, experiment.training.max_epochs)
    progress = Progress(members, images, epochs, Console(quiet=True))
    batches = member_batches(experiment, "four", _faces(20, seed=0))[index]
    task = MemberTask(experiment, MemberId("four", index), batches, validation or _faces(7, seed=1))
    folder = run.member("four", index)
    folder.path.mkdir(parents=True, exist_ok=True)
    training = MemberTraining(
        task,
        folder,
        pool,
        progress,
        why_stop=lambda: why_stop if next(asked) >= stop_after else None,
        on_saved=lambda folder: None,
        unsaved=set(),
    )
    return folder, training.steps()


def _load(tiny_experiment: Path, *settings: str) -> Experiment:
    return load_experiment(str(tiny_experiment), settings)


def _history(folder: MemberFolder) -> list[dict[str, str]]:
    with folder.history.open(newline="") as file:
        return list(csv.DictReader(file))


def _arrays(folder: MemberFolder) -> dict[str, np.ndarray]:
    with np.load(folder.state, allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name not in ("counters", "checksum")}


def _same_training(a: MemberFolder, b: MemberFolder) -> None:
    for name, array in _arrays(a).items():
        np.testing.assert_array_equal(array, _arrays(b)[name], err_msg=name)
    np.testing.assert_array_equal(np.load(a.validation), np.load(b.validation))
    for first, second in zip(_history(a), _history(b), strict=True):
        assert first | TIMES == second | TIMES


def test_a_member_learns_and_leaves_its_files(tmp_path: Path, tiny_experiment: Path):
    folder = _train(tmp_path, _load(tiny_experiment, "training.max_epochs=30", "prediction.views=3"))
    history = _history(folder)
    assert len(history) == 30
    assert float(history[-1]["loss"]) < float(history[0]["loss"])
    best = min(float(record["validation_rmse_px"]) for record in history)
    truth = _faces(7, seed=1).keypoints[:, KAGGLE15.indices("four")]
    assert rmse_px(np.load(folder.validation), truth) == pytest.approx(best, rel=1e-5)
    assert np.load(folder.mirrored_validation).shape == truth.shape
    assert np.load(folder.views_validation).shape == (2, 2, *truth.shape)
    assert {"mirrored_validation.npy", "views_validation.npy"} <= set(
        json.loads(folder.done.read_text())["files"]
    )
    assert damaged_files(folder) == []


class _KilledError(Exception):
    pass


def _kill_in(monkeypatch: pytest.MonkeyPatch, module: ModuleType, function: str, call: int) -> None:
    """The call-th call of a function fails in a module instead, as if the process had died there."""
    original, calls = getattr(module, function), []

    def dying(*args, **keywords):
        calls.append(function)
        if len(calls) == call:
            raise _KilledError
        return original(*args, **keywords)

    monkeypatch.setattr(module, function, dying)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> MemberFolder:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.yaml").write_text(TINY_EXPERIMENT)
    return _train(folder, _load(folder / "tiny.yaml"))


# 20 images in batches of 8 are three batches an epoch; with checkpoint_seconds=0 every batch is saved.
@pytest.mark.parametrize(
    ("checkpoint_seconds", "module", "function", "call"),
    [
        (30, POOL, "validate", 3),  # nothing was saved: all is trained again
        (0, POOL, "validate", 1),  # after the first epoch's batches, before its validation
        (0, LOOP, "save_state", 2),  # in the middle of an epoch
        (0, LOOP, "save_state", 8),  # after the second epoch's end
        (0, LOOP, "write_history", 12),  # after the last state, before its history
        (0, FILES, "atomic_path", 1),  # before the best weights
        (0, FILES, "write_record", 1),  # everything but done.json is there
    ],
)
def test_resumed_is_bit_identical_to_undisturbed(
    undisturbed: MemberFolder,
    tmp_path: Path,
    tiny_experiment: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint_seconds: float,
    module: ModuleType,
    function: str,
    call: int,
):
    experiment = _load(tiny_experiment, f"training.checkpoint_seconds={checkpoint_seconds}")
    with monkeypatch.context() as patch:
        _kill_in(patch, module, function, call)
        with pytest.raises(_KilledError):
            _train(tmp_path / "b", experiment)
    _same_training(undisturbed, _train(tmp_path / "b", experiment))


def test_a_stop_ends_the_batch_in_hand_saves_and_says_so(
    undisturbed: MemberFolder, tmp_path: Path, tiny_experiment: Path
):
    experiment = _load(tiny_experiment)
    pools = cycle([_pool(experiment), _pool(experiment)])
    for epoch, batch in [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]:
        place = f"epoch {epoch}, batch {batch}"
        with pytest.raises(InterruptedTrainingError, match=f"^SIGTERM: four/00 is saved after {place}; run"):
            _train(tmp_path, experiment, why_stop="SIGTERM", pool=next(pools))
    _same_training(_train(tmp_path, experiment, pool=next(pools)), undisturbed)


def test_states_are_saved_checkpoint_seconds_apart(
    tmp_path: Path, tiny_experiment: Path, monkeypatch: pytest.MonkeyPatch
):
    # The clock moves one second a look; an epoch looks a few times, so every epoch takes several seconds.
    now_s = iter(range(10**6))
    monkeypatch.setattr("fkd.training.member_training.time.monotonic", lambda: float(next(now_s)))
    saves: list[int] = []
    save = LOOP.save_state
    monkeypatch.setattr(
        LOOP,
        "save_state",
        lambda folder, model, state: (saves.append(next(now_s)), save(folder, model, state)),
    )
    _train(tmp_path, _load(tiny_experiment, "training.checkpoint_seconds=12", "training.max_epochs=6"))
    apart_s = np.diff(saves)[:-1]  # the last save is the end's
    assert len(apart_s) >= 2
    assert (apart_s >= 12).all()
    assert (apart_s <= 20).all()


def test_a_member_does_not_depend_on_the_others(tmp_path: Path, tiny_experiment: Path):
    experiment = _load(tiny_experiment)
    alone = _train(tmp_path / "a", experiment, index=1)
    pool = _pool(experiment)
    _train(tmp_path / "b", experiment, index=0, pool=pool)
    _same_training(alone, _train(tmp_path / "b", experiment, index=1, pool=pool))


@pytest.mark.parametrize("shared", ["false", "true"])
def test_members_trained_at_once_are_those_trained_alone(tmp_path: Path, tiny_experiment: Path, shared: str):
    experiment = _load(tiny_experiment, "specialists.four.members=3", f"training.shared_batches={shared}")
    with pytest.raises(InterruptedTrainingError):  # so one is ahead, and one batch is smaller than the others
        _train(tmp_path / "b", experiment, index=1, why_stop="SIGTERM")
    pool, pool_of_one = _pool(experiment), _pool(experiment)
    members = [_member(tmp_path / "b", experiment, pool, index) for index in range(3)]
    train_together(pool, [steps for _, steps in members])
    for index, (folder, _) in enumerate(members):
        alone = _train(tmp_path / "a", experiment, index, pool=pool_of_one)
        np.testing.assert_allclose(np.load(folder.validation), np.load(alone.validation), atol=0.01)
        assert damaged_files(folder) == []
        for record, expected in zip(_history(folder), _history(alone), strict=True):
            assert record["images"] == expected["images"]
            assert float(record["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-3)


# 20 images in batches of 8: a call of two steps, and one of one.
@pytest.mark.parametrize(
    ("stop_after", "place"), [(1, "epoch 0, batch 2"), (2, "epoch 0, batch 3"), (4, "epoch 1, batch 2")]
)
def test_several_steps_in_a_call_resume_bit_for_bit(
    tmp_path: Path, tiny_experiment: Path, stop_after: int, place: str
):
    experiment = _load(tiny_experiment, "training.steps_per_call=2", "training.max_epochs=2")
    pool = _pool(experiment)
    whole = _train(tmp_path / "a", experiment, pool=pool)
    with pytest.raises(InterruptedTrainingError, match=place):
        _train(tmp_path / "b", experiment, why_stop="SIGTERM", stop_after=stop_after, pool=pool)
    _same_training(whole, _train(tmp_path / "b", experiment, pool=pool))
    one_by_one = _train(tmp_path / "c", _load(tiny_experiment, "training.max_epochs=2"))
    np.testing.assert_allclose(np.load(whole.validation), np.load(one_by_one.validation), atol=0.01)


def test_a_step_trains_all_that_are_not_at_their_end_and_an_interruption_waits_for_all():
    trained, saved = [], []

    class Pool:
        def train(self, models: list[str], batches: list[int]) -> list[str]:
            trained.append("".join(models))
            return [f"{model}{batch}" for model, batch in zip(models, batches, strict=True)]

        def train_several(self, models: list[str], batches: list[list[int]]) -> list[list[str]]:
            trained.append("".join(models) + "*2")
            return [
                [f"{model}{batch}" for batch in some] for model, some in zip(models, batches, strict=True)
            ]

        def judge(self, models: list[str], images: str, truth_px: str) -> list[str]:
            trained.append("".join(models) + f" by {images}, {truth_px}")
            return [f"{model} judged" for model in models]

    def member(name: str, steps: int, interrupted: bool = False):
        for batch in range(steps):
            assert (yield ToTrain(name, [batch])) == [f"{name}{batch}"]
        saved.append(name)
        if interrupted:
            raise InterruptedTrainingError(name)

    train_together(Pool(), [member("a", 1), member("b", 0), member("c", 3)])
    assert trained == ["ac", "c", "c"]
    with pytest.raises(InterruptedTrainingError, match=r"^a$"):
        train_together(Pool(), [member("a", 1, interrupted=True), member("b", 2)])
    assert saved == ["b", "a", "c", "a", "b"]

    def epoch(name: str, first: int):
        batches = [*range(first)]
        while batches:
            done = yield ToTrain(name, batches[:2] if len(batches) > 1 else batches)
            assert done == [f"{name}{batch}" for batch in batches[: len(done)]]
            del batches[: len(done)]
        assert (yield ToJudge(name, "faces", "labels")) == f"{name} judged"

    trained.clear()
    train_together(Pool(), [epoch("a", 3), epoch("b", 3), epoch("c", 4)])
    # All have two, then a and b have one left, so one is all there is; c trains on when they are judged.
    assert trained == ["abc*2", "abc", "ab by faces, labels", "c", "c by faces, labels"]


def test_members_differ(tmp_path: Path, tiny_experiment: Path):
    experiment = _load(tiny_experiment)
    pool = _pool(experiment)
    first, second = (np.load(_train(tmp_path, experiment, i, pool=pool).validation) for i in (0, 1))
    assert np.abs(first - second).max() > 0.1


@pytest.mark.parametrize(
    ("max_images", "images"),
    [(16, [16]), (17, [20]), (20, [20]), (36, [20, 16]), (37, [20, 20])],  # whole batches of 8, 8 and 4
)
def test_a_training_ends_after_so_many_images(
    tmp_path: Path, tiny_experiment: Path, max_images: int, images: list[int]
):
    folder = _train(tmp_path, _load(tiny_experiment, f"training.max_images={max_images}"))
    assert [int(record["images"]) for record in _history(folder)] == images


SYSTEMS = {
    "dropout, normalisation, another loss": [
        "network.batch_normalisation=true",
        "network.dropout=0.5",
        "training.loss=root_mean_squared_error",
        "training.optimizer.name=nadam",
    ],
    "a rate that falls on every plateau": [
        "training.schedule={name: reduce_on_plateau, factor: 0.1, patience_epochs: 1}",
        "training.optimizer.learning_rate=1.0e-12",  # nothing changes
        "network.input_normalisation=none",
    ],
    "a rate that falls by the step": ["training.schedule={name: cosine_decay, epochs: 3}"],
    "averaged weights": ["training.weight_averaging=0.5", "training.optimizer.name=adamw"],
    "halves for steps": ["training.precision=mixed_bfloat16", "training.shared_batches=true"],
    "scaled losses": ["training.precision=mixed_float16"],
    "changes by albumentations": [
        "augmentation.albumentations=[{CLAHE: {p: 0.5}}, {CoarseDropout: {p: 0.5}}]"
    ],
    "callbacks": [
        "callbacks=[{TerminateOnNaN: {}}, {own_callbacks.HalvesTheRate: {every: 1}}]",
        "training.schedule={name: reduce_on_plateau, patience_epochs: 1}",
        "training.monitor=validation_loss",
    ],
    "heatmaps": ["network={kind: heatmap, filters: [2, 3]}", "training.loss=kl_divergence"],
}


@pytest.mark.parametrize("settings", SYSTEMS.values(), ids=SYSTEMS)
def test_every_kind_resumes_bit_identically(tmp_path: Path, tiny_experiment: Path, settings: list[str]):
    epochs = 3 if "schedule" in str(settings) else 2
    experiment = _load(
        tiny_experiment, "training.checkpoint_seconds=0", f"training.max_epochs={epochs}", *settings
    )
    # By turns in two networks, each of which still holds weights older or newer than the saved state.
    pools = cycle([_pool(experiment), _pool(experiment)])
    undisturbed = _train(tmp_path / "a", experiment, pool=next(pools))
    for _ in range(epochs * 2):  # in the middle and at the end of every epoch
        with suppress(InterruptedTrainingError):
            _train(tmp_path / "b", experiment, why_stop="SIGTERM", stop_after=2, pool=next(pools))
    _same_training(_train(tmp_path / "b", experiment), undisturbed)
    rates = [float(record["learning_rate"]) for record in _history(undisturbed)]
    assert ("schedule" in str(settings)) == (rates[-1] < rates[0])


def test_the_record_of_an_epoch_is_its_mean(tmp_path: Path, tiny_experiment: Path):
    # A network that does not move, on the very images that validate it, unchanged: batches of 8, 8 and 4.
    still = ("training.optimizer.learning_rate=1.0e-12", "network.input_normalisation=none")
    changes = ("flip", "contrast", "rotation", "elastic", "perspective")
    plain = [f"augmentation.{change}.probability=0" for change in changes]
    experiment = _load(tiny_experiment, "training.loss=mean_absolute_error", *still, *plain)
    for record in _history(_train(tmp_path, experiment, validation=_faces(20, seed=0))):
        numbers = {name: float(value) for name, value in record.items()}
        assert numbers["loss"] == pytest.approx(numbers["validation_loss"], rel=1e-5)
        assert numbers["rmse_px"] == pytest.approx(numbers["validation_rmse_px"], rel=1e-5)
        assert numbers["images"] == 20
        assert 0 < numbers["training_seconds"] <= numbers["seconds"]


def test_early_stop_keeps_the_best_weights_not_the_last(
    tmp_path: Path, tiny_experiment: Path, monkeypatch: pytest.MonkeyPatch
):
    # The second epoch is made to look worse than the first, whose predictions are then the member's.
    scores_px = iter([2.0, 3.0])
    monkeypatch.setattr(LOOP, "rmse_px", lambda predictions, truth: next(scores_px))
    folder = _train(tmp_path / "a", _load(tiny_experiment, "training.patience_epochs=1"))
    assert len(_history(folder)) == 2
    monkeypatch.undo()
    one_epoch = _train(tmp_path / "b", _load(tiny_experiment, "training.max_epochs=1"))
    np.testing.assert_array_equal(np.load(folder.validation), np.load(one_epoch.validation))


def test_a_training_that_a_callback_ends_at_once_has_one_batch(tmp_path: Path, tiny_experiment: Path):
    folder = _train(tmp_path, _load(tiny_experiment, "callbacks=[{own_callbacks.EndsAtOnce: {}}]"))
    [record] = _history(folder)
    assert record["images"] == "8"
    assert damaged_files(folder) == []


def test_a_diverging_training_is_reported(tmp_path: Path, tiny_experiment: Path):
    settings = ("training.optimizer.name=sgd", "training.optimizer.learning_rate=1e30")
    experiment = _load(tiny_experiment, *settings)
    for _ in range(2):  # taken up again, it says the same
        with np.errstate(all="ignore"), pytest.raises(UserError, match="four/00: the training diverged"):
            _train(tmp_path, experiment)
