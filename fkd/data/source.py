"""Which data: a folder, the Kaggle competition, the synthetic set, or whichever of them there is."""

import re
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from fkd.core.errors import UserError
from fkd.core.keypoints import KAGGLE15, Schema
from fkd.core.say import Say
from fkd.data.cache import load_folder
from fkd.data.faces import FaceData
from fkd.data.formats import check_points
from fkd.data.kaggle_csv import OPTIONAL_FILES, REQUIRED_FILES, find_files, missing_files

DATA_FOLDER = Path("data")
SYNTHETIC_FOLDER = DATA_FOLDER / "synthetic"
CACHE_FOLDER = DATA_FOLDER / "cache"

COMPETITION = "facial-keypoints-detection"
COMPETITION_PAGE = f"https://www.kaggle.com/c/{COMPETITION}"
MAKE_TOKEN = "make an API token on https://www.kaggle.com/settings and set KAGGLE_API_TOKEN to it"


def load_data(source: str, say: Say = print, schema: Schema | None = None) -> FaceData:
    """Load `auto`, `kaggle`, `synthetic` or the folder of this path; the first line says which and why.

    `auto` takes data/ if it holds the competition's files, else Kaggle if credentials are set, else the
    synthetic set. schema: the wanted points; None for those that are usual in the data's format.
    Raises UserError if the data cannot be obtained, are damaged or hold other points.
    """
    source, reason = choose_source() if source == "auto" else (source, "as asked for")
    say(f"Data: {source} ({reason})")
    if source in ("kaggle", "synthetic"):
        check_points(source, KAGGLE15, schema or KAGGLE15)
    if source == "kaggle":
        name, folder = source, download_from_kaggle()
    elif source == "synthetic":
        name, folder = source, generate_synthetic(say)
    else:
        folder = _folder(source)
        name = folder_name(folder)
    return load_folder(name, folder, CACHE_FOLDER, say, schema)


def name_data(source: str) -> str:
    """The name that `load_data` gives to the data of a source, without loading them."""
    source = choose_source()[0] if source == "auto" else source
    return source if source in ("kaggle", "synthetic") else folder_name(_folder(source))


def choose_source() -> tuple[str, str]:
    """The source that `auto` stands for and why, in words."""
    if not (missing := missing_files(find_files(DATA_FOLDER))):
        return f"{DATA_FOLDER}/", "it holds the competition's files"
    reason = f"{DATA_FOLDER}/ lacks {', '.join(missing)}"
    if has_kaggle_credentials():
        return "kaggle", f"{reason}; Kaggle credentials are set"
    return "synthetic", f"{reason}; no Kaggle credentials are set"


def folder_name(folder: Path) -> str:
    """The name of a folder's data set, safe in file names; raises UserError if it has no letter or digit."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", folder.resolve().name).strip("._-")
    if not name:
        raise UserError(
            f"Expected a folder with a letter or digit in its name, received {folder}; rename it."
        )
    return name


def generate_synthetic(say: Say = print) -> Path:
    """The folder of the synthetic set, which is generated if a file of it is missing.

    Raises UserError if it cannot be written.
    """
    if len(find_files(SYNTHETIC_FOLDER)) < len(REQUIRED_FILES + OPTIONAL_FILES):
        from fkd.data.synthetic.data_set import write_synthetic  # loads OpenCV

        say(f"Generating the synthetic set in {SYNTHETIC_FOLDER}/ ...")
        try:
            write_synthetic(SYNTHETIC_FOLDER, say=say)
        except OSError as error:
            raise UserError(f"Expected to write {SYNTHETIC_FOLDER}/, received: {error}; fix this.") from error
    return SYNTHETIC_FOLDER


def _folder(source: str) -> Path:
    with suppress(OSError, RuntimeError):  # too long a name; `~` of an unknown user
        folder = Path(source).expanduser()
        if folder.is_dir():
            return folder
    raise UserError(
        f"Expected auto, kaggle, synthetic or a folder as the data, received {source!r:.200}, "
        "which is no folder; name one that holds labelled faces."
    )


def has_kaggle_credentials() -> bool:
    """Whether kagglehub finds credentials in the environment, in ~/.kaggle or in a notebook's secrets.

    Raises UserError if they are there and cannot be read.
    """
    from kagglehub.config import get_kaggle_credentials  # half a second

    try:
        return get_kaggle_credentials() is not None
    except (ValueError, OSError) as error:
        raise _failed("readable Kaggle credentials", str(error), "correct or remove them") from error


def download_from_kaggle() -> Path:
    """The folder with the competition's files, which kagglehub downloads once and keeps.

    Raises UserError, with what to do, for missing or wrong credentials, rules that are not accepted, and
    no network.
    """
    import kagglehub
    import requests
    from kagglehub.exceptions import DataCorruptionError, UnauthenticatedError

    try:
        return Path(kagglehub.competition_download(COMPETITION))
    except UnauthenticatedError as error:
        raise _failed("Kaggle credentials", "none", MAKE_TOKEN) from error
    except requests.HTTPError as error:
        raise _refused(error.response.status_code if error.response is not None else 0) from error
    except (requests.RequestException, DataCorruptionError) as error:
        received = f"no whole answer ({type(error).__name__})"
        raise _failed("to reach Kaggle", received, "check the network and try again") from error
    except (ValueError, OSError) as error:
        raise _failed("to store Kaggle's files", str(error), "fix this") from error


def _refused(status: int) -> UserError:
    if status == HTTPStatus.UNAUTHORIZED:
        return _failed("valid Kaggle credentials", f"their refusal ({status:d})", MAKE_TOKEN)
    if status == HTTPStatus.FORBIDDEN:
        received = f"a refusal ({status:d}): the competition's rules are not accepted"
        return _failed("leave to download", received, f"accept them on {COMPETITION_PAGE}/rules")
    return _failed("Kaggle's files", f"HTTP status {status}", "try again later")


def _failed(expected: str, received: str, remedy: str) -> UserError:
    """One line that always ends with the way round Kaggle's interface."""
    return UserError(
        f"Expected {expected}, received {' '.join(received.split())}; {remedy}, or download the files by "
        f"hand from {COMPETITION_PAGE}/data and put them into {DATA_FOLDER}/."
    )
