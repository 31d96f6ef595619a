import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from fkd.core.errors import UserError
from fkd.core.files import (
    atomic_path,
    atomic_write_array,
    atomic_write_bytes,
    atomic_write_json,
    keep_previous,
    remove_leftovers,
    sha256,
)


def _fail_halfway(path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_interrupted_write_leaves_the_former_file(tmp_path: Path):
    path = tmp_path / "file.txt"
    atomic_write_bytes(path, b"former")
    expected = "file.txt: cannot be written \\(No space left on device\\); what was saved before stays whole"
    with pytest.raises(UserError, match=expected), atomic_path(path) as temporary:
        _fail_halfway(temporary)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_arrays_are_read_without_pickle(tmp_path: Path):
    atomic_write_array(tmp_path / "a.npy", np.arange(3))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), [0, 1, 2])


def test_a_removed_folder_does_not_come_back(tmp_path: Path):
    with pytest.raises(UserError, match="cannot be written"):
        atomic_write_bytes(tmp_path / "gone" / "a", b"")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("hard_links", [True, False])
def test_the_previous_file_is_kept(tmp_path: Path, hard_links: bool, monkeypatch: pytest.MonkeyPatch):
    if not hard_links:
        monkeypatch.setattr("os.link", _fail_to_link)
    path, previous = tmp_path / "state", tmp_path / "previous"
    keep_previous(path, previous)
    assert not previous.exists()
    for content in (b"1", b"2", b"3"):
        keep_previous(path, previous)
        keep_previous(path, previous)  # as after a kill between this and the write
        atomic_write_bytes(path, content)
    assert (path.read_bytes(), previous.read_bytes()) == (b"3", b"2")
    assert sorted(tmp_path.iterdir()) == [previous, path]


def _fail_to_link(source: Path, target: Path) -> None:
    raise OSError("no hard links here")


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path):
    (tmp_path / "state").touch()
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "state") as temporary:
        _leave(temporary)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "state"]


def _leave(temporary: Path) -> None:
    """As SIGKILL would: a copy of the temporary file under another temporary name outlives the writer."""
    temporary.with_name(f"{temporary.name}2").touch()
    raise KeyboardInterrupt


def test_json_is_read_back_and_ends_with_a_newline(tmp_path: Path):
    value = {"fold": 1, "points": [1.5, None]}
    atomic_write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == value
    assert text.endswith("}\n")


def test_a_checksum_is_that_of_the_standard(tmp_path: Path):
    (tmp_path / "abc").write_bytes(b"abc")
    # The example of FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "abc") == expected
