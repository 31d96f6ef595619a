from pathlib import Path

import keras
import numpy as np
import pytest

from fkd.core.errors import UserError
from fkd.experiment.store import MemberFolder
from fkd.training.state import TrainingState, load_state, position_of, save_state, saved_history

STATE = TrainingState(
    epoch=2,
    batch=5,
    best_epoch=1,
    best_rmse_px=1.5,
    history=[{"epoch": 1.0}, {"epoch": 2.0}],
    best_weights=[np.zeros((2, 2)), np.array([7.0, 8.0])],
)


def _model(units: int = 3) -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5), keras.layers.Dense(units)])
    model.compile(keras.optimizers.RMSprop(0.1), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def _trained(units: int = 3) -> keras.Model:
    model = _model(units)
    model.train_on_batch(np.ones((4, 2), np.float32), np.ones((4, units), np.float32))
    return model


def _values(model: keras.Model) -> list[np.ndarray]:
    owners = (model.variables, model.optimizer.variables)
    return [keras.ops.convert_to_numpy(variable) for variables in owners for variable in variables]


@pytest.fixture
def folder(tmp_path: Path) -> MemberFolder:
    return MemberFolder(tmp_path)


def _refuse(line: str) -> None:
    pytest.fail(line)


def test_no_state_is_a_fresh_start(folder: MemberFolder):
    assert load_state(folder, _model(), _refuse) == TrainingState()


def test_weights_slots_seeds_and_counters_come_back(folder: MemberFolder):
    trained, other = _trained(), _model()
    save_state(folder, trained, STATE)
    back = load_state(folder, other, _refuse)
    np.testing.assert_array_equal(back.best_weights[1], [7, 8])
    for name in ("epoch", "batch", "best_epoch", "best_rmse_px", "epoch_images", "epoch_sums", "history"):
        assert getattr(back, name) == getattr(STATE, name)
    assert any("seed_generator" in variable.path for variable in other.variables), "the dropout's is there"
    for a, b in zip(_values(trained), _values(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_state_is_no_pickle(folder: MemberFolder):
    save_state(folder, _trained(), STATE)
    with np.load(folder.state, allow_pickle=False) as file:
        assert "counters" in {name: file[name] for name in file.files}


def test_the_previous_state_is_kept(folder: MemberFolder):
    model = _trained()
    save_state(folder, model, TrainingState(epoch=1))
    save_state(folder, model, TrainingState(epoch=2))
    folder.state.unlink()
    assert load_state(folder, model, _refuse).epoch == 1


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip_a_weight(data: bytes) -> bytes:
    """Change one byte of an array's content and its CRC-32 with it, as a faulty writer would."""
    import io

    with np.load(io.BytesIO(data)) as file:
        arrays = dict(file)
    arrays["model.0000"] = arrays["model.0000"] + 1
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


DAMAGES = pytest.mark.parametrize(
    "damage",
    [_cut, _flip_a_weight, lambda data: b"", lambda data: b"text"],
    ids=["cut", "altered", "empty", "text"],
)


@DAMAGES
def test_a_damaged_state_is_reported_moved_aside_and_replaced(folder: MemberFolder, damage):
    model = _trained()
    save_state(folder, model, TrainingState(epoch=1))
    save_state(folder, model, TrainingState(epoch=2))
    damaged = damage(folder.state.read_bytes())
    folder.state.write_bytes(damaged)
    said: list[str] = []
    assert load_state(folder, model, said.append).epoch == 1
    assert len(said) == 1
    assert "state.npz: damaged" in said[0]
    (aside,) = folder.path.glob("state.damaged-*")
    assert aside.read_bytes() == damaged
    assert load_state(folder, model, _refuse).epoch == 1


@DAMAGES
def test_when_both_are_damaged_the_member_starts_again_from_its_own_weights(folder: MemberFolder, damage):
    fresh = _values(_model())
    for _ in range(2):
        save_state(folder, _trained(), TrainingState(epoch=1))
    for path in (folder.state, folder.previous_state):
        path.unlink()
        path.write_bytes(damage(b"x" * 1000) if damage is not _flip_a_weight else b"PK")
    said: list[str] = []
    model = _model()
    assert load_state(folder, model, said.append) == TrainingState()
    assert len(said) == 3
    assert said[2].endswith("this member starts again from its first epoch")
    for value, start in zip(_values(model)[3:], fresh[3:], strict=True):
        np.testing.assert_array_equal(value, start)


def test_the_position_of_a_state(folder: MemberFolder):
    save_state(folder, _trained(), STATE)
    assert position_of(folder.state) == (2, 5)
    folder.state.write_bytes(b"")
    with pytest.raises(ValueError, match="EOFError"):
        position_of(folder.state)


def test_the_state_of_another_network_is_refused(folder: MemberFolder):
    save_state(folder, _trained(units=4), STATE)
    with pytest.raises(UserError, match="received one of another shape"):
        load_state(folder, _model(units=3), _refuse)


def test_a_compressed_state_is_damaged(folder: MemberFolder):
    folder.path.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder.state, counters=np.zeros(1_000_000))  # a kilobyte that may unpack to any size
    with pytest.raises(ValueError, match="it is compressed"):
        position_of(folder.state)


def test_the_state_of_another_member_is_refused(folder: MemberFolder):
    save_state(folder, _trained(), STATE)
    other = MemberFolder(folder.path.with_name("other"))
    folder.path.rename(other.path)
    said: list[str] = []
    assert saved_history(other) == []
    assert load_state(other, _model(), said.append) == TrainingState()
    assert f"state.npz: damaged (it is that of {folder.name}); moved aside" in said[0]


def test_the_saved_history_is_that_of_the_newest_readable_state(folder: MemberFolder):
    assert saved_history(folder) == []
    for epoch in (1, 2):
        save_state(folder, _trained(), TrainingState(epoch=epoch, history=[{"epoch": epoch}]))
    assert saved_history(folder) == [{"epoch": 2}]
    folder.state.write_bytes(b"")
    assert saved_history(folder) == [{"epoch": 1}]
