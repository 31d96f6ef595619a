"""End to end through the command line, as a person would run it."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from command_line import fkd, read_results
from labelled_photos import write_dlib, write_imm, write_photo
from repository import REPOSITORY
from tiny_experiment import BY_SOURCE, TINY_EXPERIMENT

from fkd import __version__
from fkd.cli import main

ONE_EPOCH = ("--set", "training.max_epochs=1")


@pytest.fixture(scope="module")
def trained(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the tiny experiment trained for ONE_EPOCH; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY_EXPERIMENT)
    fkd("train", "tiny.yaml", "--data", faces_folder, *ONE_EPOCH, folder=folder)
    return folder / "models_store"


@pytest.fixture
def store(workplace: Path, trained: Path) -> Path:
    """A copy of it where fkd is run."""
    return Path(shutil.copytree(trained, workplace / "models_store"))


@pytest.mark.usefixtures("workplace")
def test_from_files_to_a_scored_submission(tiny_experiment: Path, faces_folder: Path):
    options = (tiny_experiment, "--data", faces_folder)
    assert "eleven/00: done" in fkd("train", *options)
    assert "nothing to train, all 3 members are done" in fkd("train", *options)
    assert "tiny-faces: 3 of 3 members done" in fkd("status")
    assert "best single" in fkd("select", *options)
    output = fkd("submit", *options)
    assert "px RMSE against the hidden labels" in output
    run = Path("models_store/tiny-faces")
    submission = pd.read_csv(run / "submission.csv")
    lookup = pd.read_csv(faces_folder / "IdLookupTable.csv")
    assert submission.columns.tolist() == ["RowId", "Location"]
    assert submission["RowId"].tolist() == lookup["RowId"].tolist()
    assert submission["Location"].between(0, 95).all()
    scores = fkd("score", run / "submission.csv", faces_folder / "solution.csv")
    for part in ("all", "Private", "nose_tip_x"):
        assert f" {part} " in scores
    readable = {".npz", ".npy", ".h5", ".json", ".yaml", ".csv", ".txt", ".png", ".html"}
    assert {path.suffix for path in run.rglob("*") if path.is_file()} <= readable
    assert read_results(run), "NumPy and h5py read them without pickles"


@pytest.mark.usefixtures("workplace")
def test_members_go_on_with_the_faces_of_either_source(tiny_experiment: Path, faces_folder: Path):
    still = "specialists.few.continues.learning_rate=1.0e-12"  # a step of RMSProp is no longer than that
    words = (BY_SOURCE, still, "specialists.all.members=1", "prediction.label_offsets=linear")
    options = (tiny_experiment, "--data", faces_folder, *(word for one in words for word in ("--set", one)))
    assert "few/00: done" in fkd("train", *options, *ONE_EPOCH)
    assert "nothing to train, all 3 members are done" in fkd("train", *options, *ONE_EPOCH)
    run = Path("models_store/tiny-faces")
    weights = {key: value for key, value in read_results(run).items() if "best.weights.h5" in key}
    kernels = [key for key, value in weights.items() if key.startswith("all/") and value.ndim > 1]
    for key in kernels:
        np.testing.assert_allclose(weights[key.replace("all/", "few/", 1)], weights[key], atol=1e-9)
        assert (weights[key.replace("all/", "many/", 1)] != weights[key]).any()
    assert kernels
    output = fkd("submit", *options)
    assert "many and few" in output
    assert "px RMSE against the hidden labels" in output
    assert "predicting with its members: 1 all" in fkd("predict", write_photo(Path("photo.png"), 300, 200))


def test_what_a_trained_run_is_good_for(store: Path, tiny_experiment: Path, faces_folder: Path):
    options = (tiny_experiment, "--data", faces_folder)
    page = store / "tiny-faces/report.html"
    assert "report.html: the report" in fkd("report", *options)
    missing = "There are none yet; `fkd submit` makes them."
    assert missing in page.read_text()
    fkd("submit", *options)
    assert missing not in page.read_text(), "submit has written the report anew"
    stack = ("--set", "selection.policy=stack")
    assert "ensemble.keras" in fkd("export", *options, *stack, "--to", "model")
    assert {path.name for path in Path("model").iterdir()} == {"ensemble.keras", "README.md"}
    Path("no-photo.jpg").write_text("no photo")
    error = fkd("predict", write_photo(Path("photo.png"), 300, 200), "no-photo.jpg", status=1)
    assert error == "fkd: 1 of 2 files failed, as told above; the others are done\n"
    assert Path("photo-points/points.json").exists()


@pytest.mark.usefixtures("workplace")
def test_the_data_can_be_looked_at_before_any_training(tiny_experiment: Path, faces_folder: Path):
    assert "explore-faces.html" in fkd("explore", "--data", faces_folder)
    fkd("explore", tiny_experiment, "--data", faces_folder, "--output", "page.html")
    assert "Augmentation" not in Path("explore-faces.html").read_text()
    assert "Augmentation" in Path("page.html").read_text()


def test_submissions_say_who_is_left_out_and_a_detectors_keeps_the_former(
    store: Path, tiny_experiment: Path, faces_folder: Path
):
    options, run = (tiny_experiment, "--data", faces_folder, *ONE_EPOCH), store / "tiny-faces"
    shutil.rmtree(run / "four/01")
    assert "four/01: left out, its training is not finished" in fkd("submit", *options)
    assert "submission-1.csv: the former submission, kept" in fkd("submit", *options, "--detector", "haar")
    plain, haar = (pd.read_csv(run / f"{name}.csv") for name in ("submission-1", "submission"))
    assert plain["RowId"].tolist() == haar["RowId"].tolist()


OTHER_DATA = """
keypoint_schema: {schema}
network: {{convolutions: [{{filters: 2, kernel: 5, pool: 8}}]}}
training: {{max_epochs: 1}}
augmentation: {{flip: {{probability: 0.5}}}}
specialists: {{some: {{keypoints: {points}, members: 1}}}}
selection: {{policy: best}}
"""


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize(
    ("write", "schema", "points"),
    [
        (write_imm, "imm73", "[nose_tip]"),
        (write_dlib, "ibug68", "all"),
        (write_imm, "[chin, nose_tip]", "all"),
    ],
)
def test_photos_with_other_points(write: Callable[[Path], Path], schema: str, points: str):
    folder = write(Path("photos"))
    for number, photo in enumerate(sorted(folder.rglob("*.png"))):
        noise = np.random.default_rng(number).integers(0, 256, cv2.imread(str(photo)).shape, np.uint8)
        assert cv2.imwrite(str(photo), noise)
    Path("other.yaml").write_text(OTHER_DATA.format(schema=schema, points=points))
    options = ("other.yaml", "--data", folder)
    assert "some/00: done" in fkd("train", *options)
    assert "best single" in fkd("select", *options)
    error = fkd("submit", *options, status=1).splitlines()
    assert error == [
        "fkd: photos: expected a lookup table of values to submit, received a data set without one; "
        "fkd select says how the members validate"
    ]


@pytest.mark.usefixtures("workplace")
def test_points_that_the_data_do_not_hold_are_refused(tiny_experiment: Path, faces_folder: Path):
    other = "keypoint_schema=imm73", "specialists={all: {keypoints: all, members: 1}}"
    settings = [word for setting in other for word in ("--set", setting)]
    for folder, words in ((write_imm(Path("photos")), []), (faces_folder, settings)):
        error = fkd("train", tiny_experiment, "--data", folder, *words, status=1)
        assert len(error.splitlines()) == 1, error
        assert "imm73" in error
        assert "kaggle15" in error
    assert not Path("models_store").exists()


@pytest.mark.usefixtures("workplace")
def test_jax_does_without_tensorflow(
    tiny_experiment: Path, faces_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("jax", reason="JAX is not installed")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    # Two full batches of one specialist: JAX compiles a step for every size of a batch.
    one = "specialists={all: {keypoints: all, rows: any, batch_size: 4, members: 1}}"
    options = (tiny_experiment, "--data", faces_folder, "--set", one, "--set", "training.max_images=8")
    verbs = ("train",), ("status",), ("submit",), ("export", "--to", "model")
    calls = [["fkd", *verb, *map(str, options if verb != ("status",) else ())] for verb in verbs]
    # All in one process: loading JAX and Keras takes longer than any of them.
    code = f"""
import sys
from fkd.cli import main
class WithoutTensorFlow:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, WithoutTensorFlow)
for sys.argv in {calls}:
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "through jax" in done.stdout
    assert "submission.csv" in done.stdout
    assert "ensemble.keras: written" in done.stdout


DEEP = "network.convolutions=[{filters: 1, kernel: 90}, {filters: 1, kernel: 8}]"
PRETRAINED = "network={kind: resnet, depth: 50, weights: weights.h5}"


@pytest.mark.usefixtures("workplace")
def test_a_users_mistake_is_one_line_and_status_1(tiny_experiment: Path, faces_folder: Path):
    cases = {
        ("data", "--data", "nowhere"): "nowhere",
        ("train", "nought", "--data", faces_folder): "no such experiment",
        ("train", tiny_experiment, "--data", faces_folder, "--set", "sed=1"): "sed",
        (
            "train",
            tiny_experiment,
            "--data",
            faces_folder,
            "--set",
            DEEP,
        ): "convolution 2 leaves a feature map",
        (
            "train",
            tiny_experiment,
            "--data",
            faces_folder,
            "--set",
            PRETRAINED,
        ): "weights.h5, which does not exist",
        ("train", tiny_experiment, "--data", faces_folder, "--set", "name=../../evil"): "expected a name",
        ("train", "two\nlines", "--data", faces_folder): "two lines: no such experiment",
        ("submit", tiny_experiment, "--data", faces_folder): "no such run",
        ("score", "a.csv", "b.csv"): "a.csv",
    }
    for arguments, words in cases.items():
        error = fkd(*arguments, status=1)
        assert words in error
        assert len(error.splitlines()) == 1, error
    assert "no runs yet" in fkd("status")
    assert not Path("models_store").exists()


@pytest.mark.usefixtures("workplace")
def test_a_backend_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_BACKEND", "nonsense")
    assert "received nonsense; set KERAS_BACKEND to" in fkd("status", status=1)


@pytest.mark.usefixtures("workplace")
def test_a_name_that_the_terminal_cannot_show_is_no_trace(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("signal.signal", lambda number, handler: None)  # this process keeps its own
    monkeypatch.setattr("sys.argv", ["fkd", "status", "--store", "ü"])
    with io.TextIOWrapper(io.BytesIO(), "ascii") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        with pytest.raises(SystemExit, match="0"):
            main()
        terminal.flush()
        assert b"\\xfc: no runs yet" in terminal.buffer.getvalue()


def test_a_network_is_taught_by_a_trained_run(store: Path, tiny_experiment: Path, faces_folder: Path):
    data = ("--data", faces_folder)
    taught = ("name=pupil", "teacher=tiny", "distil_test_images=true")
    pupil = (tiny_experiment, *data, *ONE_EPOCH, *(word for key in taught for word in ("--set", key)))
    complaint = fkd("train", *pupil, status=1)
    assert "expected a run with chosen members in models_store/tiny-faces" in complaint
    assert not (store / "pupil-faces").exists()
    fkd("select", tiny_experiment, *data)
    printed = fkd("train", *pupil)
    assert "models_store/tiny-faces: predicting the labels of 30 training faces and 6 test images" in printed
    assert "3 of 3 members" in printed
    taught, labelled = (read_results(store / f"{name}-faces") for name in ("pupil", "tiny"))
    predictions = [name for name in taught if name.endswith("validation.npy")]
    assert len(predictions) == 3
    assert not any(np.array_equal(taught[name], labelled[name]) for name in predictions)


@pytest.mark.usefixtures("workplace")
def test_tensorboard_logs_and_determinism_when_asked(tiny_experiment: Path, faces_folder: Path):
    settings = (*ONE_EPOCH, "--set", "training.deterministic=true")
    fkd("train", tiny_experiment, "--data", faces_folder, *settings, "--tensorboard")
    assert list(Path("models_store/tiny-faces/four/00/logs").glob("events*"))


def test_the_version_is_shown():
    assert fkd("--version") == f"fkd {__version__}\n"


def test_help_imports_neither_keras_nor_the_data_libraries():
    code = "import sys, fkd.cli; sys.argv = ['fkd', '--help']\ntry: fkd.cli.main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'keras', 'tensorflow', 'numpy', 'pandas', 'cv2'} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    for verb in (
        *("data", "explore", "train", "status", "select", "submit", "report"),
        *("predict", "demo", "export", "score", "compare"),
    ):
        assert f" {verb} " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
