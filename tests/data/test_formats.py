from collections.abc import Callable
from pathlib import Path

import pytest
from competition_files import write_competition
from labelled_photos import write_dlib, write_imm

from fkd.core.errors import UserError
from fkd.core.keypoints import IBUG68, IMM73, KAGGLE15, Schema, listed_schema
from fkd.data.formats import check_points, recognise


@pytest.mark.parametrize(
    ("write", "schema", "files"),
    [
        (write_competition, KAGGLE15, "training.zip test.zip IdLookupTable.csv groups.csv solution.csv"),
        (write_imm, IMM73, "01_01.asf 01_01.png 01_02.asf 01_02.png 02_01.asf 02_01.png"),
        (write_dlib, IBUG68, "labels.xml images/a.png images/b.png"),
    ],
)
def test_a_folder_is_known_by_its_files(
    tmp_path: Path, write: Callable[[Path], Path], schema: Schema, files: str
) -> None:
    form, found = recognise(write(tmp_path / "folder"))
    assert form.schema is schema
    assert {path.relative_to(tmp_path / "folder").as_posix() for path in found.values()} == set(files.split())


def test_the_competition_comes_before_other_formats(tmp_path: Path) -> None:
    folder = write_dlib(write_imm(write_competition(tmp_path / "all")))
    assert recognise(folder)[0].schema is KAGGLE15
    (folder / "test.zip").unlink()
    assert recognise(folder)[0].schema is IMM73


def test_a_folder_of_no_format_is_told_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"^\S+: expected the competition's files, \.asf files .* received a folder without "
        r"training\.csv \(or \.zip\), test\.csv \(or \.zip\), IdLookupTable\.csv",
    ):
        recognise(tmp_path)


def test_points_among_those_held_are_granted() -> None:
    check_points("photos", IMM73, listed_schema(("chin", "nose_tip")))
    check_points("photos", IMM73, IMM73)


@pytest.mark.parametrize(
    ("held", "wanted", "words"),
    [
        (IMM73, IBUG68, "73 points of imm73, the experiment wants ibug68;"),
        (IBUG68, IMM73, "68 points of ibug68, the experiment wants imm73;"),
        (KAGGLE15, listed_schema(("nose_tip", "hat")), "kaggle15, the experiment wants the point hat;"),
    ],
)
def test_other_points_are_refused(held: Schema, wanted: Schema, words: str) -> None:
    with pytest.raises(UserError, match=rf"^photos: holds the .*{words} choose an experiment of that schema"):
        check_points("photos", held, wanted)
