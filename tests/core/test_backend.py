from pathlib import Path

import pytest

from fkd.core.backend import require_backend, wanted_backend
from fkd.core.errors import UserError


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


def test_tensorflow_is_taken_without_a_choice():
    require_backend()


def test_without_tensorflow_another_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fkd.core.backend.find_spec", lambda name: name == "jax" or None)
    require_backend()
    assert wanted_backend() == ("jax", "the only backend installed")


def test_why_a_backend_is_taken_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("fkd.core.backend.find_spec", lambda name: True)
    assert wanted_backend() == ("tensorflow", "the usual backend")
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert wanted_backend() == ("torch", f"as {tmp_path / 'keras.json'} asks")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert wanted_backend() == ("jax", "as KERAS_BACKEND asks")


@pytest.mark.parametrize("backend", ["nonsense", "numpy"])
def test_another_backend_is_named(monkeypatch: pytest.MonkeyPatch, backend: str):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(
        UserError,
        match=rf"KERAS_BACKEND .*expected a backend .*\(tensorflow.*\), received {backend}; set",
    ):
        require_backend()


def test_one_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr("fkd.core.backend.find_spec", lambda name: name == "tensorflow" or None)
    with pytest.raises(UserError, match=r"can train \(tensorflow\), received jax"):
        require_backend()


def test_keras_own_file_counts_where_the_variable_is_unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "keras.json").write_text('{"backend": "nonsense"}')
    with pytest.raises(UserError, match=r"keras\.json: expected .*received nonsense"):
        require_backend()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    require_backend()
    monkeypatch.delenv("KERAS_BACKEND")
    (tmp_path / "keras.json").write_text("[")
    require_backend()
