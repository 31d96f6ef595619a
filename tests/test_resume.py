from pathlib import Path

import keras
import numpy as np
import pytest

from fkd.errors import UserError
from fkd.resume import TrainingState, load_state, save_state
from fkd.store import MemberFolder

STATE = TrainingState(epoch=2, best_epoch=1, best_rmse_px=1.5, history=[{"epoch": 1.0}, {"epoch": 2.0}])


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
    owners = (model.variables, model.optimizer.variables, model.metrics_variables)
    return [keras.ops.convert_to_numpy(variable) for variables in owners for variable in variables]


@pytest.fixture
def folder(tmp_path: Path) -> MemberFolder:
    return MemberFolder(tmp_path / "00")


def _refuse(line: str) -> None:
    pytest.fail(line)


def test_no_state_is_a_fresh_start(folder: MemberFolder):
    assert load_state(folder, _model(), _refuse) == TrainingState()


def test_weights_slots_seeds_metrics_and_counters_come_back(folder: MemberFolder):
    trained, other = _trained(), _model()
    save_state(folder, trained, STATE)
    assert load_state(folder, other, _refuse) == STATE
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


@pytest.mark.parametrize("damage", [_cut, _flip_a_weight, lambda data: b""], ids=["cut", "altered", "empty"])
def test_a_damaged_state_is_said_and_the_one_before_it_taken(folder: MemberFolder, damage):
    model = _trained()
    save_state(folder, model, TrainingState(epoch=1))
    save_state(folder, model, TrainingState(epoch=2))
    folder.state.write_bytes(damage(folder.state.read_bytes()))
    said: list[str] = []
    assert load_state(folder, model, said.append).epoch == 1
    assert len(said) == 1
    assert "state.npz: damaged" in said[0]


def test_the_state_of_another_network_is_refused(folder: MemberFolder):
    save_state(folder, _trained(units=4), STATE)
    with pytest.raises(UserError, match="received one of another shape"):
        load_state(folder, _model(units=3), _refuse)
