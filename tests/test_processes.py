"""Members side by side in processes, compared bit for bit with those trained one after another."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import assert_same_results, command, fkd, read_results
from conftest import TINY_EXPERIMENT

from fkd.processes import Share, shares

SETTINGS = ["--set", "training.max_epochs=80", "--set", "training.checkpoint_seconds=0.2"]
SETTINGS += ["--set", "resources.cpus=1"]
PATIENCE_S = 240


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, faces_folder: Path) -> dict[str, np.ndarray]:
    """What the members are when they are trained one after another."""
    folder = tmp_path_factory.mktemp("local")
    (folder / "tiny.yaml").write_text(TINY_EXPERIMENT)
    fkd("train", "tiny.yaml", "--data", faces_folder, *SETTINGS, folder=folder)
    return read_results(folder / "models_store" / "tiny-faces")


def test_cores_are_divided_and_gpus_taken_in_turn():
    assert shares(3, None, 8, []) == [Share(2), Share(2), Share(2)]
    assert shares(4, None, 2, []) == [Share(1)] * 4
    assert shares(3, 2, 8, ["0", "1"]) == [Share(2, "0", 0.5), Share(2, "1", 0.5), Share(2, "0", 0.5)]
    assert shares(2, 2, 8, ["5", "7"]) == [Share(2, "5"), Share(2, "7")]


def _start(faces_folder: Path, log: Path) -> subprocess.Popen[bytes]:
    arguments = ["train", "tiny.yaml", "--data", faces_folder, *SETTINGS, "--jobs", 2]
    with log.open("wb") as output:
        return subprocess.Popen(command(*arguments), stdout=output, stderr=output)


def _training_process(run: Path) -> int:
    """A process that holds a member which has saved, as soon as there is one."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        for state in run.glob("*/*/state.npz"):
            if lock := (state.parent / "lock.txt").read_text().split():
                return int(lock[1])
        assert time.monotonic() < until_s, "no member was saved"
        time.sleep(0.02)


def test_a_process_that_is_killed_leaves_its_member_to_the_others(
    expected: dict[str, np.ndarray], faces_folder: Path, workplace: Path, tiny_experiment: Path
):
    run, log = workplace / "models_store" / "tiny-faces", workplace / "log.txt"
    driver = _start(faces_folder, log)
    os.kill(_training_process(run), signal.SIGKILL)
    assert driver.wait(PATIENCE_S) == 0, log.read_text()
    assert_same_results(run, expected)
    text = log.read_text()
    assert "training 3 of 3 members on 2 processes of 1 thread(s) on the CPU" in text
    assert "A training process was ended by SIGKILL; the others take its member over" in text
    assert "3 of 3 members, ensemble 0 s left" in text


def test_processes_end_with_the_one_that_started_them_and_the_same_command_goes_on(
    expected: dict[str, np.ndarray], faces_folder: Path, workplace: Path, tiny_experiment: Path
):
    run, log = workplace / "models_store" / "tiny-faces", workplace / "log.txt"
    driver = _start(faces_folder, log)
    pid = _training_process(run)
    driver.kill()
    driver.wait()
    until_s = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until_s, "a process trains on alone"
        time.sleep(0.05)

    driver = _start(faces_folder, log)
    _training_process(run)
    driver.terminate()
    assert driver.wait(PATIENCE_S) == 75, log.read_text()
    assert "fkd: SIGTERM: every member is saved; run the same command again to go on" in log.read_text()

    assert _start(faces_folder, log).wait(PATIENCE_S) == 0, log.read_text()
    assert_same_results(run, expected)


def test_a_failure_in_one_process_is_one_line(faces_folder: Path, workplace: Path, tiny_experiment: Path):
    wrong = ["--set", "training.optimizer.learning_rate=1e30"]
    complaint = fkd("train", "tiny.yaml", "--data", faces_folder, *wrong, "--jobs", 2, status=1)
    assert complaint.startswith("fkd: ")
    assert complaint.endswith("the training diverged; lower training.optimizer.learning_rate\n")
    assert complaint.count("\n") == 1
