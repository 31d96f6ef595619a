import pytest

from fkd import device
from fkd.errors import UserError


@pytest.fixture
def driver_shows_a_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "gpus_of_the_driver", lambda: ["GPU 0: Some Card"])
    monkeypatch.setattr(device, "visible_gpus", list)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("driver_shows_a_gpu")
def test_a_gpu_that_only_the_driver_sees_stops_the_training():
    with pytest.raises(UserError, match=r"the driver shows a GPU \(GPU 0: Some Card\) and \w+ does not"):
        device.require_visible_gpu()


@pytest.mark.usefixtures("driver_shows_a_gpu")
def test_a_gpu_hidden_on_purpose_does_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CPU" in device.require_visible_gpu()


def test_a_gpu_that_both_see_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "visible_gpus", lambda: ["gpu:0"])
    assert device.require_visible_gpu().startswith("1 GPU(s)")


def test_determinism_is_refused_where_it_cannot_be_promised(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(UserError, match="expected the TensorFlow backend, received jax"):
        device.prepare_device(deterministic=True)


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.which", lambda command: None)
    assert device.gpus_of_the_driver() == []
