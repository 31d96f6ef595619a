import sys
from importlib import import_module
from pathlib import Path

import pytest

from fkd.core.lean_keras import not_loaded


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two packages that are installed; one of them is loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("early", "late"):
        (tmp_path / f"{name}.py").write_text("")
        monkeypatch.delitem(sys.modules, name, raising=False)
    import_module("early")


@pytest.mark.usefixtures("packages")
def test_a_package_looks_as_if_it_were_not_installed_and_is_there_afterwards():
    with not_loaded("early", "late"):
        import_module("early")
        with pytest.raises(ImportError):
            import_module("late")
    import_module("late")


@pytest.mark.usefixtures("packages")
def test_it_is_there_again_after_a_failure():
    with pytest.raises(KeyError), not_loaded("late"):
        raise KeyError
    import_module("late")
