"""Members side by side in processes, compared bit for bit with those trained one after another."""

import os
import signal
from pathlib import Path

import numpy as np
from command_line import assert_same_results, fkd
from interruptible import PATIENCE_S, start, wait_until

from fkd.runs.engines.processes import Share, shares


def test_cores_are_divided_and_gpus_taken_in_turn():
    assert shares(3, None, 8, []) == [Share(2), Share(2), Share(2)]
    assert shares(4, None, 2, []) == [Share(1)] * 4
    assert shares(3, 2, 8, ["0", "1"]) == [Share(2, "0", 0.5), Share(2, "1", 0.5), Share(2, "0", 0.5)]
    assert shares(2, 2, 8, ["5", "7"]) == [Share(2, "5"), Share(2, "7")]


def _training_process(run: Path) -> int:
    """A process that lives and holds a member which has saved, as soon as there is one."""
    return wait_until(lambda: _holders(run), "no member was saved")[0]


def _holders(run: Path) -> list[int]:
    locks = [(state.parent / "lock.txt").read_text().split() for state in run.glob("*/*/state.npz")]
    return [int(lock[1]) for lock in locks if lock and Path(f"/proc/{lock[1]}").exists()]


def test_a_driver_or_a_process_that_is_killed_or_stopped_changes_nothing(
    trained_alone: dict[str, np.ndarray], faces_folder: Path, workplace: Path, tiny_experiment: Path
):
    run, log = workplace / "models_store" / "tiny-faces", workplace / "log.txt"
    driver = start(faces_folder, log, "--jobs", 2)
    _training_process(run)
    assert "training 3 of 3 members on 2 processes of 1 thread(s) on the CPU" in log.read_text()
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_until(lambda: not _holders(run), "a process trains on alone")

    driver = start(faces_folder, log, "--jobs", 2)
    _training_process(run)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(PATIENCE_S) == 75, log.read_text()
    assert "fkd: SIGTERM: every member is saved; run the same command again to resume" in log.read_text()

    driver = start(faces_folder, log, "--jobs", 2)
    os.kill(_training_process(run), signal.SIGKILL)
    assert driver.wait(PATIENCE_S) == 0, log.read_text()
    assert_same_results(run, trained_alone)
    text = log.read_text()
    assert "A training process was ended by SIGKILL; the others take over its member" in text
    assert "3 of 3 members, ensemble 0 s left" in text


def test_a_failure_in_one_process_is_one_line(faces_folder: Path, workplace: Path, tiny_experiment: Path):
    wrong = ["--set", "training.optimizer.learning_rate=1e30"]
    complaint = fkd("train", "tiny.yaml", "--data", faces_folder, *wrong, "--jobs", 2, status=1)
    assert complaint.startswith("fkd: ")
    assert complaint.endswith("the training diverged; lower training.optimizer.learning_rate\n")
    assert complaint.count("\n") == 1
