"""What several tests need: a small synthetic data set and an experiment that trains in a second."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_line import read_results
from filelock import FileLock
from hypothesis import settings
from interruptible import train_alone
from metadata_service import Metadata
from repository import REPOSITORY
from s3_server import CREDENTIALS, s3_server
from tiny_experiment import TINY_EXPERIMENT

if TYPE_CHECKING:
    from fkd.experiment.experiment import Experiment

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Converting members for ONNX Runtime takes seconds; the tests of that ask for it.
os.environ["FKD_RUNTIME"] = "keras"

# Twenty seconds and more each.
LONGEST_FILES = (
    "test_cli.py",
    "test_preemption.py",
    "test_ray_tasks.py",
    "test_compiled_step.py",
    "test_experiment_files.py",
    "test_chaos.py",
    "test_member_training.py",
    "test_fuzz.py",
    "test_search.py",
    "test_comparison.py",
    "test_processes.py",
    "test_damaged_runs.py",
    "test_export.py",
    "test_notebook.py",
    "test_gradient_sweep.py",
    "test_remote_store.py",
)

# A property's speed is not what is tested, and two busy cores are slow.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_handlecrashitem(crashitem: str, sched: Any) -> None:
    """A test that kills its process, or is ended because it hangs, ends the whole run with its name."""
    sched.config.pluginmanager.get_plugin("dsession").shouldstop = f"{crashitem} ended its process"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no process is left alone with one at the end."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.fixture(scope="session")
def faces_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `faces` with 30 training faces and 6 test images in the competition's format."""
    from fkd.data.synthetic.data_set import write_synthetic

    folder = tmp_path_factory.mktemp("data") / "faces"
    write_synthetic(folder, seed=1, training_faces=30, test_faces=6)
    return folder


@pytest.fixture
def tiny_experiment(tmp_path: Path) -> Path:
    """The file of an experiment with 2 + 1 members of three epochs."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY_EXPERIMENT)
    return path


@pytest.fixture
def experiment(tiny_experiment: Path) -> "Experiment":
    """The experiment of this file."""
    from fkd.experiment.files import load_experiment

    return load_experiment(str(tiny_experiment))


@pytest.fixture
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder is the repository, whose experiments have names."""
    monkeypatch.chdir(REPOSITORY)


@pytest.fixture(scope="session")
def trained_alone(tmp_path_factory: pytest.TempPathFactory, faces_folder: Path) -> dict[str, np.ndarray]:
    """What the members of an interruptible training are when they are trained one after another."""
    # Once for all processes that test: the folder above theirs is of this session, too.
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "alone"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "tiny.yaml").exists():
            (folder / "tiny.yaml").write_text(TINY_EXPERIMENT)
            train_alone(faces_folder, folder)
    return read_results(folder / "models_store" / "tiny-faces")


@pytest.fixture
def workplace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder without Kaggle credentials, from which fkd is run."""
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session", name="s3_server")
def running_s3_server() -> Iterator[int]:
    """The port of an S3 server."""
    with s3_server() as port:
        yield port


@pytest.fixture
def s3_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials for a server that asks for any."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    from fkd.runs.spot import ENDPOINT_VARIABLE

    with Metadata() as server:
        monkeypatch.setenv(ENDPOINT_VARIABLE, f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
