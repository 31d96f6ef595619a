import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import requests
from competition_files import Table, write_competition
from kagglehub.exceptions import DataCorruptionError, KaggleApiHTTPError, UnauthenticatedError
from labelled_photos import write_imm

from fkd.core.errors import UserError
from fkd.core.keypoints import IMM73, Schema, listed_schema
from fkd.core.say import Say
from fkd.data.faces import FaceData
from fkd.data.source import choose_source, folder_name, load_data, name_data


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, on a machine without Kaggle credentials."""
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home / ".kaggle"))
    (home / ".kaggle").mkdir(parents=True)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that a fake generator was asked to fill."""
    folders: list[Path] = []

    def write_synthetic(folder: Path, say: Say) -> None:
        folders.append(folder)
        write_competition(folder)

    fake = ModuleType("fkd.data.synthetic.data_set")
    fake.write_synthetic = write_synthetic  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fkd.data.synthetic.data_set", fake)
    return folders


def load(source: str, schema: Schema | None = None) -> tuple[FaceData, list[str]]:
    said: list[str] = []
    return load_data(source, said.append, schema), said


def answer(monkeypatch: pytest.MonkeyPatch, reply: Path | Exception) -> None:
    """Let kagglehub return a folder or raise."""

    def competition_download(handle: str) -> str:
        assert handle == "facial-keypoints-detection"
        if isinstance(reply, Exception):
            raise reply
        return str(reply)

    monkeypatch.setattr("kagglehub.competition_download", competition_download)


def test_auto_takes_the_data_folder_first(monkeypatch: pytest.MonkeyPatch) -> None:
    write_competition(Path("data"))
    monkeypatch.setenv("KAGGLE_API_TOKEN", "token")
    data, said = load("auto")
    assert data.name == "data"
    assert said[0] == "Data: data/ (it holds the competition's files)"


CREDENTIALS: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "token": lambda home, patch: patch.setenv("KAGGLE_API_TOKEN", "token"),
    "name and key": lambda home, patch: (
        patch.setenv("KAGGLE_USERNAME", "me"),
        patch.setenv("KAGGLE_KEY", "k"),
    ),
    "kaggle.json": lambda home, patch: (home / "kaggle.json").write_text('{"username": "me", "key": "k"}'),
    "access_token": lambda home, patch: (home / "access_token").write_text("token"),
}


@pytest.mark.parametrize("set_up", CREDENTIALS.values(), ids=CREDENTIALS)
def test_auto_takes_kaggle_where_credentials_are(
    empty_place: Path, monkeypatch: pytest.MonkeyPatch, set_up: Callable[[Path, pytest.MonkeyPatch], object]
) -> None:
    set_up(empty_place.parent / "home" / ".kaggle", monkeypatch)
    answer(monkeypatch, write_competition(empty_place.parent / "download"))
    data, said = load("auto")
    assert data.name == "kaggle"
    assert said[0].startswith("Data: kaggle (data/ lacks training.csv (or .zip), ")
    assert said[0].endswith("; Kaggle credentials are set)")


def test_auto_generates_where_nothing_else_is(generated: list[Path]) -> None:
    write_competition(Path("data"))
    Path("data/test.zip").unlink()
    data, said = load("auto")
    assert data.name == "synthetic"
    assert generated == [Path("data/synthetic")]
    assert said[0] == "Data: synthetic (data/ lacks test.csv (or .zip); no Kaggle credentials are set)"


def test_a_user_name_without_a_key_is_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    assert choose_source()[0] == "synthetic"


def test_broken_credentials_are_reported(empty_place: Path) -> None:
    (empty_place.parent / "home" / ".kaggle" / "kaggle.json").write_text("{")
    with pytest.raises(
        UserError, match=r"Invalid Kaggle credentials file at .*kaggle\.json; correct or remove"
    ):
        load("auto")


def test_the_synthetic_set_is_generated_once_and_again_if_incomplete(generated: list[Path]) -> None:
    load("synthetic")
    load("synthetic")
    assert len(generated) == 1
    Path("data/synthetic/solution.csv").unlink()
    load("synthetic")
    assert len(generated) == 2


def test_a_folder_lends_its_name(empty_place: Path) -> None:
    folder = write_competition(empty_place / "wild 15")
    data, said = load(str(folder))
    assert data.name == "wild_15"
    assert said[0] == f"Data: {folder} (as asked for)"
    assert list(Path("data/cache").glob("wild_15-*.npz"))


def test_a_folder_of_labelled_photos(empty_place: Path) -> None:
    folder = write_imm(empty_place / "imm")
    data, said = load(str(folder), IMM73)
    assert (data.name, data.point_names) == ("imm", IMM73.names)
    assert said == [f"Data: {folder} (as asked for)", f"Reading {folder} ..."]


def test_the_columns_of_a_csv_folder_may_be_listed(empty_place: Path) -> None:
    def rename(tables: dict[str, Table]) -> None:
        for table in tables.values():
            table[:] = [[cell.replace("nose_tip", "beak") for cell in line] for line in table]
        tables["IdLookupTable"][1:] = [line for line in tables["IdLookupTable"] if line[2].startswith("beak")]
        tables["solution"][1:] = [[line[0], "1.5", "Public"] for line in tables["IdLookupTable"][1:]]

    folder = write_competition(empty_place / "birds", rename)
    data, _ = load(str(folder), listed_schema(("beak",)))
    assert data.training.keypoints[:, 0].tolist() == [[20, 21], [30, 31], [40, 41]]
    assert data.test.keypoints.shape == (2, 1, 2)
    assert data.lookup["FeatureName"].unique().tolist() == ["beak_x", "beak_y"]
    with pytest.raises(
        UserError, match=r"training\.zip, line 1, column nose_tip_x: expected it in the header"
    ):
        load(str(folder))


@pytest.mark.parametrize("source", ["synthetic", "kaggle", "auto"])
def test_kaggle_and_synthetic_faces_have_no_other_points(source: str, generated: list[Path]) -> None:
    with pytest.raises(UserError, match=": holds the 15 points of kaggle15, the experiment wants imm73;"):
        load(source, IMM73)
    assert generated == []


def test_folder_names(empty_place: Path) -> None:
    assert folder_name(Path()) == "place"
    (empty_place / "..._").mkdir()
    with pytest.raises(UserError, match="letter or digit"):
        folder_name(empty_place / "..._")


@pytest.mark.parametrize("source", ["nowhere", "a" * 5000, "~nobody-of-this-name/data", "a\0b"])
def test_no_folder_is_one_clear_line(source: str) -> None:
    with pytest.raises(UserError, match=r"^Expected auto, kaggle, [^\n]{,400}, which is no folder; [^\n]*$"):
        load(source)


def test_a_folder_that_cannot_be_listed_is_named(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(
            13, "Permission denied", str(folder)
        )  # as root, who runs tests, never is refused

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UserError, match=r"place: expected a readable folder, received: .* Permission denied"):
        load(str(empty_place))


def test_the_name_is_known_before_loading(empty_place: Path, generated: list[Path]) -> None:
    folder = write_competition(empty_place / "wild 15")
    sources = ["auto", "synthetic", "kaggle", str(folder)]
    assert [name_data(source) for source in sources] == ["synthetic", "synthetic", "kaggle", "wild_15"]
    assert generated == []


def test_no_such_folder() -> None:
    with pytest.raises(UserError, match="received 'wlid15', which is no folder"):
        load("wlid15")


def http_error(status: int) -> KaggleApiHTTPError:
    response = requests.Response()
    response.status_code = status
    return KaggleApiHTTPError("a message\n\nof many lines", response=response)


KAGGLE_FAILURES = {
    "no credentials": (UnauthenticatedError(), "received none; make an API token"),
    "wrong credentials": (http_error(401), r"refusal \(401\); make an API token"),
    "rules": (http_error(403), "accept them on https://www.kaggle.com/c/facial-keypoints-detection/rules"),
    "server": (http_error(500), "HTTP status 500; try again later"),
    "no network": (requests.ConnectionError("x"), r"\(ConnectionError\); check the network"),
    "slow network": (requests.ReadTimeout("x"), r"\(ReadTimeout\); check the network"),
    "damaged on the way": (DataCorruptionError("x"), r"\(DataCorruptionError\); check the network"),
    "full disk": (OSError(28, "No space left on device"), "No space left on device"),
}


@pytest.mark.parametrize(("error", "words"), KAGGLE_FAILURES.values(), ids=KAGGLE_FAILURES)
def test_kaggle_failures_are_one_line_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    answer(monkeypatch, error)
    with pytest.raises(UserError, match=words) as complaint:
        load("kaggle")
    message = str(complaint.value)
    assert "\n" not in message
    assert message.endswith(
        "from https://www.kaggle.com/c/facial-keypoints-detection/data and put them into data/."
    )
