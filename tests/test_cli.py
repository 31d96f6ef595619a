"""End to end through the command line, as a person would run it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

REPOSITORY = Path(__file__).parents[1]


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fkd", *map(str, arguments)]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder without Kaggle credentials."""
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _fkd(*arguments: object, status: int = 0) -> str:
    """Run fkd; returns what it printed."""
    done = subprocess.run(_command(*arguments), capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def _datasets(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return [name for name in names if isinstance(file[name], h5py.Dataset)]


def _trained_arrays(run: Path) -> dict[str, np.ndarray]:
    """Every state's arrays, every validation prediction and every best weight of a run."""
    arrays = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if path.name == "state.npz":
            with np.load(path, allow_pickle=False) as file:
                wanted = [key for key in file.files if key not in ("counters", "checksum")]
                arrays |= {f"{name}/{key}": file[key] for key in wanted}
        elif path.suffix == ".npy":
            arrays[name] = np.load(path, allow_pickle=False)
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                arrays |= {f"{name}/{key}": file[key][()] for key in _datasets(file)}
        elif path.name == "history.csv":
            arrays[name] = pd.read_csv(path).drop(columns="seconds").to_numpy()
    return arrays


@pytest.mark.usefixtures("environment")
def test_from_files_to_a_scored_submission(tiny_experiment: Path, faces_folder: Path):
    options = (tiny_experiment, "--data", faces_folder)
    assert "eleven/00: done" in _fkd("train", *options)
    assert "nothing to train, all 3 members are done" in _fkd("train", *options)
    assert "tiny-faces: 3 of 3 members done" in _fkd("status")
    assert "best single" in _fkd("select", *options)
    output = _fkd("submit", *options)
    assert "px RMSE against the hidden labels" in output
    run = Path("models_store/tiny-faces")
    submission = pd.read_csv(run / "submission.csv")
    lookup = pd.read_csv(faces_folder / "IdLookupTable.csv")
    assert submission.columns.tolist() == ["RowId", "Location"]
    assert submission["RowId"].tolist() == lookup["RowId"].tolist()
    assert submission["Location"].between(0, 95).all()
    scores = _fkd("score", run / "submission.csv", faces_folder / "solution.csv")
    for part in ("all", "Private", "nose_tip_x"):
        assert f" {part} " in scores
    readable = {".npz", ".npy", ".h5", ".json", ".yaml", ".csv", ".txt", ".png"}
    assert {path.suffix for path in run.rglob("*") if path.is_file()} <= readable
    assert _trained_arrays(run), "NumPy and h5py read them without pickles"


@pytest.mark.usefixtures("environment")
def test_a_killed_training_goes_on_and_ends_bit_identical(tiny_experiment: Path, faces_folder: Path):
    options = (tiny_experiment, "--data", faces_folder, "--set", "training.max_epochs=25")
    _fkd("train", *options, "--store", "undisturbed")
    history = Path("killed/tiny-faces/four/00/history.csv")
    process = subprocess.Popen(_command("train", *options, "--store", "killed"), stdout=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 120
    while not history.exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was killed in the middle"
    assert "going on after epoch" in _fkd("train", *options, "--store", "killed")
    undisturbed = _trained_arrays(Path("undisturbed/tiny-faces"))
    resumed = _trained_arrays(Path("killed/tiny-faces"))
    assert undisturbed.keys() == resumed.keys()
    for name, array in undisturbed.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_says_so_and_exits_with_75(
    tiny_experiment: Path, faces_folder: Path, number: signal.Signals
):
    command = _command("train", tiny_experiment, "--data", faces_folder, "--set", "training.max_epochs=500")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while "epoch 1/" not in process.stdout.readline():
            pass
        process.send_signal(number)
        error = process.stderr.read()
    assert process.returncode == 75
    place = r"after epoch \d+, batch \d+; run the same command again to go on"
    assert re.fullmatch(f"fkd: {number.name}: four/00 is saved {place}\n", error)


@pytest.mark.usefixtures("environment")
def test_two_processes_share_the_members(tiny_experiment: Path, faces_folder: Path):
    settings = ("--set", "training.max_epochs=40", "--set", "specialists.four.members=3")
    command = _command("train", tiny_experiment, "--data", faces_folder, *settings)
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    trained = [re.findall(r"^(\S+): done,", output, re.MULTILINE) for output in outputs]
    assert sorted(trained[0] + trained[1]) == ["eleven/00", "four/00", "four/01", "four/02"]
    assert all(trained), "both took part"


@pytest.mark.usefixtures("environment")
def test_damaged_files_of_a_finished_member_are_made_again(tiny_experiment: Path, faces_folder: Path):
    options = (tiny_experiment, "--data", faces_folder, "--set", "training.max_epochs=1")
    _fkd("train", *options)
    run = Path("models_store/tiny-faces")
    whole = _trained_arrays(run)
    (run / "four/00/best.weights.h5").write_bytes(b"half")
    assert "best.weights.h5 damaged or missing; made again" in _fkd("train", *options)
    for name, array in _trained_arrays(run).items():
        np.testing.assert_array_equal(array, whole[name], err_msg=name)


@pytest.mark.usefixtures("environment")
def test_jax_trains_too(tiny_experiment: Path, faces_folder: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("jax", reason="JAX is not installed")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    options = (tiny_experiment, "--data", faces_folder, "--set", "specialists.four.members=1")
    assert "through jax" in _fkd("train", *options)
    assert "submission.csv" in _fkd("submit", *options)


@pytest.mark.usefixtures("environment")
def test_a_users_mistake_is_one_line_and_status_1(tiny_experiment: Path, faces_folder: Path):
    cases = {
        ("data", "--data", "nowhere"): "nowhere",
        ("train", "nought", "--data", faces_folder): "no such experiment file",
        ("train", tiny_experiment, "--data", faces_folder, "--set", "sed=1"): "sed",
        ("submit", tiny_experiment, "--data", faces_folder): "no such run",
        ("status",): "no runs yet",
        ("score", "a.csv", "b.csv"): "a.csv",
    }
    for arguments, words in cases.items():
        error = _fkd(*arguments, status=1)
        assert words in error
        assert len(error.splitlines()) == 1, error
    assert not Path("models_store").exists()


@pytest.mark.usefixtures("environment")
def test_submit_before_the_end_says_who_is_left_out(tiny_experiment: Path, faces_folder: Path):
    options = (tiny_experiment, "--data", faces_folder, "--set", "training.max_epochs=1")
    _fkd("train", *options)
    shutil.rmtree("models_store/tiny-faces/four/01")
    assert "four/01: left out, its training is not finished" in _fkd("submit", *options)


@pytest.mark.usefixtures("environment")
def test_tensorboard_logs_when_asked(tiny_experiment: Path, faces_folder: Path):
    _fkd("train", tiny_experiment, "--data", faces_folder, "--set", "training.max_epochs=1", "--tensorboard")
    assert list(Path("models_store/tiny-faces/four/00/logs").glob("events*"))


def test_help_imports_neither_keras_nor_the_data_libraries():
    code = "import sys, fkd.cli; sys.argv = ['fkd', '--help']\ntry: fkd.cli.main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'keras', 'tensorflow', 'numpy', 'pandas', 'cv2'} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    for verb in ("data", "train", "status", "select", "submit", "score"):
        assert f" {verb} " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
