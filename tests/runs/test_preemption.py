"""A preempted machine loses nothing: end to end through the command line."""

import json
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import Running, assert_same_results, command, fkd, read_results
from metadata_service import NOTICE, Metadata
from tiny_experiment import TINY_EXPERIMENT

from fkd.experiment.store import Run
from fkd.runs.locks import member_lock

Results = dict[str, np.ndarray]

FOUR_MEMBERS = ("--set", "training.max_epochs=25", "--set", "specialists.four.members=3")
LONG = ("--set", "training.max_epochs=12", "--set", "training.checkpoint_seconds=0")


@pytest.fixture
def bucket(s3_server: int, s3_client: None, monkeypatch: pytest.MonkeyPatch, request) -> str:
    """The URL of a prefix in a new bucket."""
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{s3_server}")
    name = request.node.name.replace("_", "-")[:60]
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(name)
    return f"s3://{name}/runs"


@pytest.fixture(scope="module")
def undisturbed(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What the experiment gives with the settings LONG where nothing happens to it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.yaml").write_text(TINY_EXPERIMENT)
    fkd("train", "tiny.yaml", "--data", faces_folder, *LONG, folder=folder)
    return read_results(folder / "models_store" / "tiny-faces")


def _interrupt(process: Running, number: signal.Signals, after: str) -> str:
    """Send a signal after a line that holds some words; returns what was complained of."""
    while after not in process.stdout.readline():
        assert process.returncode is None
    process.send_signal(number)
    return process.communicate()[1]


@pytest.mark.usefixtures("workplace")
def test_a_killed_training_goes_on_and_ends_bit_identical(
    tiny_experiment: Path, faces_folder: Path, undisturbed: Results
):
    options = (tiny_experiment, "--data", faces_folder, *LONG)
    history = Path("killed/tiny-faces/four/00/history.csv")
    process = Running("train", *options, "--store", "killed")
    deadline_s = time.monotonic() + 120
    while not history.exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was killed in the middle"
    assert "resuming after epoch" in fkd("train", *options, "--store", "killed")
    assert_same_results(Path("killed/tiny-faces"), undisturbed)


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_says_so_and_exits_with_75(
    tiny_experiment: Path, faces_folder: Path, number: signal.Signals
):
    process = Running("train", tiny_experiment, "--data", faces_folder, "--set", "training.max_epochs=500")
    error = _interrupt(process, number, after="epoch 1/")
    assert process.returncode == 75
    place = r"after epoch \d+, batch \d+; run the same command again to resume"
    assert re.fullmatch(f"fkd: {number.name}: four/00 is saved {place}\n", error)


@pytest.mark.usefixtures("workplace")
def test_a_spot_notice_does_the_same(metadata: Metadata, tiny_experiment: Path, faces_folder: Path):
    metadata.answer = json.dumps(NOTICE)
    error = fkd("train", tiny_experiment, "--data", faces_folder, "--spot-notice", "ec2", status=75)
    assert error.startswith(
        "fkd: EC2 spot notice (terminate at 2026-11-21T08:22:00Z): four/00 is saved after"
    )


def test_the_next_machine_goes_on_from_the_remote_store(
    workplace: Path, tiny_experiment: Path, faces_folder: Path, bucket: str, undisturbed: Results
):
    # Not after every batch: a member's files take a second to send.
    options = (tiny_experiment, "--data", faces_folder, *LONG, "--set", "training.checkpoint_seconds=0.2")
    first, second, third = (workplace / name for name in ("first", "second", "third"))
    for machine in (first, second, third):
        machine.mkdir()
    process = Running("train", *options, "--store", bucket, folder=first)
    _interrupt(process, signal.SIGTERM, after="epoch 1/")
    assert process.returncode == 75
    shutil.rmtree(first)
    assert "four/00: resuming after epoch" in fkd("train", *options, "--store", bucket, folder=second)
    assert_same_results(second / "models_store/tiny-faces", undisturbed)
    for machine in (second, third):
        fkd("select", *options, "--store", bucket, folder=machine)
    chosen = [machine / "models_store/tiny-faces/selection.json" for machine in (second, third)]
    assert chosen[0].read_bytes() == chosen[1].read_bytes()
    without_states = {name: array for name, array in undisturbed.items() if "state.npz" not in name}
    assert_same_results(third / "models_store/tiny-faces", without_states)


@pytest.mark.usefixtures("workplace")
def test_the_same_command_sends_what_a_remote_store_lacks(tiny_experiment: Path, faces_folder: Path):
    options = ("train", tiny_experiment, "--data", faces_folder, "--set", "training.max_epochs=1")
    remote = Path("remote").absolute()
    fkd(*options, "--store", remote.as_uri())
    results = read_results(remote / "tiny-faces")
    assert results
    shutil.rmtree(remote / "tiny-faces" / "four")
    assert "nothing to train" in fkd(*options, "--store", remote.as_uri())
    assert_same_results(remote / "tiny-faces", results)


def _assert_shared(processes: list[Running]) -> None:
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    trained = [re.findall(r"^(\S+): done,", output, re.MULTILINE) for output, _ in outputs]
    assert sorted(trained[0] + trained[1]) == ["eleven/00", "four/00", "four/01", "four/02"]
    assert all(trained), "both took part"


def test_two_machines_share_the_members(
    workplace: Path, tiny_experiment: Path, faces_folder: Path, bucket: str
):
    options = ("train", tiny_experiment, "--data", faces_folder, *FOUR_MEMBERS, "--store", bucket)
    machines = [workplace / "first", workplace / "second"]
    for machine in machines:
        machine.mkdir()
    _assert_shared([Running(*options, folder=machine) for machine in machines])
    first, second = (read_results(machine / "models_store/tiny-faces") for machine in machines)
    weights = [name for name in first if "best.weights" in name]
    assert weights
    assert all((first[name] == second[name]).all() for name in weights), "both have all members at the end"


@pytest.mark.usefixtures("workplace")
def test_two_processes_share_the_members(tiny_experiment: Path, faces_folder: Path):
    options = ("train", tiny_experiment, "--data", faces_folder, *FOUR_MEMBERS)
    _assert_shared([Running(*options) for _ in range(2)])


def _limit_file_size() -> None:
    """No file may grow beyond 8 kB, as on a full disk; a state is larger, the other files are not."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


@pytest.mark.usefixtures("workplace")
def test_a_full_disk_is_one_line_and_the_last_good_state_stays(
    tiny_experiment: Path, faces_folder: Path, undisturbed: Results
):
    options = ("train", tiny_experiment, "--data", faces_folder, *LONG)
    _interrupt(Running(*options), signal.SIGTERM, after="epoch 1/")
    state = Path("models_store/tiny-faces/four/00/state.npz")
    good = state.read_bytes()
    full = subprocess.run(
        command(*options),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_limit_file_size,
    )
    assert full.returncode == 1
    # Matplotlib, which Keras loads, may complain before that its list of fonts cannot be kept.
    assert full.stderr.endswith(
        f"fkd: {state}: cannot be written (File too large); what was saved before is intact; "
        "fix this and run the same command again\n"
    )
    assert state.read_bytes() == good
    fkd(*options)
    assert_same_results(Path("models_store/tiny-faces"), undisturbed)


@pytest.mark.usefixtures("workplace")
def test_a_removed_folder_is_one_line_and_does_not_come_back(tiny_experiment: Path, faces_folder: Path):
    process = Running("train", tiny_experiment, "--data", faces_folder, *LONG)
    while "epoch 1/" not in process.stdout.readline():
        assert process.returncode is None
    shutil.move("models_store/tiny-faces/four/00", "elsewhere")
    error = process.communicate()[1]
    assert process.returncode == 1
    assert re.fullmatch(r"fkd: \S+: cannot be written \(No such file or directory\); .*\n", error), error
    assert not Path("models_store/tiny-faces/four/00").exists()


@pytest.mark.usefixtures("workplace")
def test_a_store_that_cannot_be_written_is_one_line(tiny_experiment: Path, faces_folder: Path):
    error = fkd("train", tiny_experiment, "--data", faces_folder, "--store", "/proc/fkd", status=1)
    assert re.fullmatch(r"fkd: /proc/fkd\S*: .*\n", error), error


@pytest.mark.usefixtures("workplace")
def test_other_settings_are_refused_and_fresh_moves_the_former_run_aside(
    tiny_experiment: Path, faces_folder: Path
):
    options = ("train", tiny_experiment, "--data", faces_folder, "--set", "training.max_epochs=1")
    fkd(*options)
    error = fkd(*options, "--set", "seed=4", status=1)
    assert "seed: 3 -> 4" in error
    with member_lock(Run(Path("models_store/tiny-faces")).member("four", 1)) as held:
        assert held
        Path("models_store/tiny-faces/four/01/done.json").rename("done.json")
        error = fkd(*options, "--set", "seed=4", "--fresh", status=1)
        Path("done.json").rename("models_store/tiny-faces/four/01/done.json")
    assert "four/01 is being trained; stop that process first" in error
    assert "moved aside to models_store/tiny-faces." in fkd(*options, "--set", "seed=4", "--fresh")
    assert len(list(Path("models_store").glob("tiny-faces*/eleven/00/done.json"))) == 2


@pytest.mark.usefixtures("workplace")
def test_damaged_files_of_a_finished_member_are_made_again(tiny_experiment: Path, faces_folder: Path):
    options = (tiny_experiment, "--data", faces_folder, "--set", "training.max_epochs=1")
    fkd("train", *options)
    run = Path("models_store/tiny-faces")
    whole = read_results(run)
    (run / "four/00/best.weights.h5").write_bytes(b"half")
    assert "best.weights.h5 damaged or missing; made again" in fkd("train", *options)
    assert_same_results(run, whole)
