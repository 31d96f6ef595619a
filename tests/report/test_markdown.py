from pathlib import Path

import pytest

from fkd.core.errors import UserError
from fkd.report.markdown import replace_part

TEXT = "above\n<!-- begin: written by it -->\nold\n<!-- end: written by it -->\nbelow\n"


def test_only_the_part_between_the_marks_changes(tmp_path: Path):
    path = tmp_path / "README.md"
    path.write_text(TEXT)
    assert replace_part(path, "it", "new\n") == TEXT.replace("old", "new")


def test_a_missing_file_begins_with_it(tmp_path: Path):
    text = replace_part(tmp_path / "README.md", "it", "new\n")
    assert text == TEXT.replace("old", "new").removeprefix("above\n").removesuffix("below\n")


@pytest.mark.parametrize("text", ["no marks\n", "<!-- begin: written by it -->\n"])
def test_missing_marks_are_reported(tmp_path: Path, text: str):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(UserError, match=r"README\.md: expected the lines <!-- begin: written by it -->"):
        replace_part(path, "it", "new\n")


def test_a_file_that_is_none_to_write_by_hand_is_one_line(tmp_path: Path):
    path = tmp_path / "README.md"
    with path.open("wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(UserError, match=r"expected text in UTF-8, received more than 16,777,216 bytes; put"):
        replace_part(path, "it", "")


def test_other_bytes_are_one_line(tmp_path: Path):
    path = tmp_path / "README.md"
    path.write_bytes(b"\xe0 is no UTF-8")
    with pytest.raises(UserError, match=r"README.md: expected text in UTF-8, received other bytes"):
        replace_part(path, "fkd compare", "")
