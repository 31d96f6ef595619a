"""Damaged files of a run: one line that names the way out, no hang, nothing lost, no other result."""

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_same_results, fkd, read_results
from tiny_experiment import TINY_EXPERIMENT

from fkd.cli import main
from fkd.core.errors import UserError
from fkd.ensemble.ensemble import load_ensemble
from fkd.ensemble.selection_file import read_selection
from fkd.experiment.store import Run

RUN = "models_store/tiny-faces"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, faces_folder: Path) -> Path:
    """A working folder with a finished, submitted run; every case begins with a copy of it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY_EXPERIMENT)
    shutil.copytree(faces_folder, folder / "faces")
    fkd("train", "tiny.yaml", "--data", "faces", folder=folder)
    fkd("submit", "tiny.yaml", "--data", "faces", folder=folder)
    return folder


@pytest.fixture
def run(trained: Path, workplace: Path) -> Run:
    """A copy of the run, in the working folder."""
    shutil.copytree(trained, workplace, dirs_exist_ok=True)
    return Run(Path(RUN))


@dataclass(frozen=True)
class Outcome:
    """What a verb leaves at the terminal."""

    status: int
    printed: str
    complaint: str


Call = Callable[..., Outcome]
Damage = Callable[[Path], None]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a verb in this process, where an exception that is no line would come through."""

    def call(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["fkd", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    return call


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _other(path: Path) -> None:
    path.write_text("[[1], {}]\n")


def _nested(path: Path) -> None:
    path.write_text("[" * 5_000)


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(999))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


DAMAGES = (_empty, _cut, _zeros, _other, _nested, _noise, _folder, _fifo, _loop)
MEMBER = tuple(
    f"four/00/{name}" for name in ("done.json", "history.csv", "validation.npy", "best.weights.h5")
)
ON_FACES = ("tiny.yaml", "--data", "faces")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", [*MEMBER, "experiment.yaml", "provenance.json", "four/split.json"])
def test_a_choice_is_refused_and_the_former_one_stays(run: Run, call: Call, name: str, damage: Damage):
    before = run.selection.read_bytes(), run.submission.read_bytes()
    damage(run.path / name)
    for verb in ("select", "submit", "report"):
        outcome = call(verb, *ON_FACES)
        assert (outcome.status, outcome.complaint.count("\n")) == (1, 1)
        assert all(word in outcome.complaint for word in name.rsplit("/", 1)), outcome.complaint
        assert any(way_out in outcome.complaint for way_out in ("fkd train makes", "put it back"))
    assert (run.selection.read_bytes(), run.submission.read_bytes()) == before


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name", ["four/00/done.json", "four/00/history.csv", "four/00/lock.txt", "experiment.yaml"]
)
def test_status_shows_what_is_there(run: Run, call: Call, name: str, damage: Damage):
    shutil.copytree(run.path, "models_store/whole")
    (run.path / "four/00/lock.txt").touch()
    damage(run.path / name)
    outcome = call("status")
    assert "whole: 3 of 3 members done" in outcome.printed
    if name == "experiment.yaml":
        assert (outcome.status, outcome.complaint) == (
            1,
            "fkd: 1 of 2 runs cannot be read, as reported above\n",
        )
        assert f"{run.experiment}: " in outcome.printed
    else:
        done = 2 if name.endswith("done.json") else 3
        assert (outcome.status, outcome.complaint) == (0, "")
        assert f"tiny-faces: {done} of 3 members done" in outcome.printed


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["selection.json", "experiment.yaml", *MEMBER])
def test_no_ensemble_is_loaded_from_damaged_files(run: Run, name: str, damage: Damage):
    # The policy has chosen one of the four's two members; the damage is that one's.
    [report] = [one for one in read_selection(run).values() if one.specialist == "four"]
    damage(run.path / name.replace("four/00", f"four/{report.chosen[0]:02d}"))
    with pytest.raises(UserError, match=r"^[^\n]*$"):
        load_ensemble(run, pytest.fail)


def _swap(path: Path, section: Callable[[Any], list[Any]]) -> None:
    record = json.loads(path.read_text())
    rows = section(record)
    rows[0], rows[1] = rows[1], rows[0]
    path.write_text(json.dumps(record))


def test_two_rows_swapped_are_noticed(run: Run, call: Call):
    _swap(run.selection, lambda record: record["specialists"][0]["members"])
    with pytest.raises(UserError, match=r"selection.json: .* match their checksum; run fkd select again"):
        load_ensemble(run, pytest.fail)
    _swap(run.split("four"), lambda record: record["validation"])
    outcome = call("select", *ON_FACES)
    assert outcome.status == 1
    assert "four/split.json: expected" in outcome.complaint
    assert "match their checksum; put it back" in outcome.complaint


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ([10**6], "row 1000000 for data that have the rows 0 to 29"),
        ([-1], "training.0: Input should be greater than or equal to 0"),
        ([30, 30], "a row is listed twice"),
    ],
)
def test_rows_that_cannot_be_are_one_line(run: Run, call: Call, training: list[int], words: str):
    record = json.loads(run.split("four").read_text())
    split = {key: record[key] for key in ("validation", "validation_groups")}  # as earlier versions wrote it
    run.split("four").write_text(json.dumps(split | {"training": training}))
    for verb in ("select", "train", "report"):
        outcome = call(verb, *ON_FACES)
        assert outcome.status == 1
        assert "four/split.json: expected the rows that train and validate" in outcome.complaint
        assert words in outcome.complaint


def test_the_rows_of_another_specialist_are_refused(run: Run, call: Call):
    shutil.copy(run.split("eleven"), run.split("four"))
    assert "four/split.json: expected" in (complaint := call("select", *ON_FACES).complaint)
    assert "received those of eleven; put it back" in complaint


def test_lost_rows_are_not_drawn_again(run: Run, call: Call):
    run.split("four").unlink()
    for verb in ("select", "train", "report"):
        outcome = call(verb, *ON_FACES)
        assert outcome.status == 1
        assert "four/split.json: expected" in outcome.complaint
        assert "put it back from a backup" in outcome.complaint
    assert not run.split("four").exists()


def test_a_damaged_selection_is_made_again_by_submit(run: Run, call: Call):
    before = run.selection.read_bytes(), run.submission.read_bytes()
    run.selection.write_bytes(b"")
    assert call("submit", *ON_FACES).status == 0
    assert (run.selection.read_bytes(), run.submission.read_bytes()) == before


def test_train_makes_again_what_follows_from_the_states(run: Run, call: Call):
    expected = read_results(run.path)
    _noise(run.member("four", 0).done)
    _folder(run.member("four", 1).validation)
    unfinished = run.member("eleven", 0)
    unfinished.done.unlink()
    _empty(unfinished.history)
    shutil.copy(run.member("four", 0).state, unfinished.state)  # another member's
    unfinished.previous_state.unlink(missing_ok=True)
    assert "eleven/00" in call("status").printed
    run.provenance.unlink()
    outcome = call("train", *ON_FACES)
    assert (outcome.status, outcome.complaint) == (0, "")
    for line in (
        "provenance.json: missing; written anew",
        "four/00: done.json damaged or missing; made again",
        "four/01: validation.npy damaged or missing; made again",
        "state.npz: damaged (it is that of four/00); moved aside to state.damaged-",
    ):
        assert line in outcome.printed, outcome.printed
    assert_same_results(run.path, expected)


def test_fresh_is_a_way_out_of_any_damage(run: Run, call: Call):
    _noise(run.experiment)
    _empty(run.member("four", 0).done)
    outcome = call("train", *ON_FACES, "--fresh", "--set", "training.max_epochs=1")
    assert (outcome.status, outcome.complaint) == (0, "")
    assert "the former run, moved aside to" in outcome.printed
    [former] = Path("models_store").glob("tiny-faces.*")
    assert (former / "experiment.yaml").read_bytes() == np.random.default_rng(0).bytes(999)


class _Bait:
    """Leaves a file behind where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("unpickled",)


def test_nothing_is_unpickled_or_executed(run: Run, call: Call):
    bait = np.array([_Bait()], object)
    for path in sorted(run.path.rglob("*")):
        if path.name == "state.npz":
            np.savez(path, counters=bait, checksum=bait)
        elif path.suffix == ".npy":
            np.save(path, bait)
        elif path.is_file() and path != run.experiment:
            path.write_bytes(pickle.dumps(_Bait()))
    whole = run.experiment.read_bytes()
    for experiment in (b"!!python/object/apply:os.mkdir [unpickled]\n", whole):
        run.experiment.write_bytes(experiment)
        for verb in ("status", "select", "submit", "report", "train"):
            outcome = call(verb, *(() if verb == "status" else ON_FACES))
            assert outcome.complaint.count("\n") <= 1
    with pytest.raises(UserError):
        load_ensemble(run, print)
    assert not Path("unpickled").exists()
