"""The formats of data folders: what tells each, which points it holds, how it is read."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fkd.core.errors import UserError
from fkd.core.keypoints import IBUG68, IMM73, KAGGLE15, SCHEMAS, Schema
from fkd.core.say import Say
from fkd.data.faces import FaceData
from fkd.data.kaggle_csv import find_files, missing_files, read_files
from fkd.data.labelled_photos import find_asf_files, find_dlib_files, read_asf_files, read_dlib_files

Files = dict[str, Path]


class DataFormat(NamedTuple):
    """One way of storing labelled faces.

    schema: the usual points; no others can be read unless the columns of the files decide (`any_points`).
    find_files: the files to read in a folder, none if it is of another format.
    read_files: takes name, checksum, files, say and the wanted points.
    """

    schema: Schema
    any_points: bool
    find_files: Callable[[Path], Files]
    read_files: Callable[[str, str, Files, Say, Schema], FaceData]


def find_competition(folder: Path) -> Files:
    """The competition's files, or none if one that reading needs is missing."""
    files = find_files(folder)
    return {} if missing_files(files) else files


DATA_FORMATS = (
    DataFormat(KAGGLE15, True, find_competition, read_files),
    DataFormat(IMM73, False, find_asf_files, read_asf_files),
    DataFormat(IBUG68, False, find_dlib_files, read_dlib_files),
)


def recognise(folder: Path) -> tuple[DataFormat, Files]:
    """The first format of which a folder holds files, and the files.

    Raises UserError if there is none and if the folder cannot be read.
    """
    try:
        for candidate in DATA_FORMATS:
            if files := candidate.find_files(folder):
                return candidate, files
    except OSError as error:
        raise UserError(f"{folder}: expected a readable folder, received: {error}; fix this.") from error
    raise UserError(
        f"{folder}: expected the competition's files, .asf files with photos or an XML file of dlib's imglab "
        f"with photos, received a folder without {', '.join(missing_files(find_files(folder)))}; "
        "add them or name another folder."
    )


def check_points(place: str, held: Schema, wanted: Schema) -> None:
    """Raise UserError unless all points that an experiment wants are among those of its data."""
    if unknown := [name for name in wanted.names if name not in held.names]:
        wants = wanted.name if wanted.name in SCHEMAS else f"the point {unknown[0]}"
        raise UserError(
            f"{place}: holds the {len(held.names)} points of {held.name}, the experiment wants {wants}; "
            "choose an experiment of that schema or other data."
        )
