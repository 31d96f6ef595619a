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
    is_there,
    keep_previous,
    move_damaged_aside,
    read_regular,
    remove_leftovers,
    sha256,
)


def _fail_halfway(path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_interrupted_write_leaves_the_former_file(tmp_path: Path):
    path = tmp_path / "file.txt"
    atomic_write_bytes(path, b"former")
    expected = "file.txt: cannot be written \\(No space left on device\\); what was saved before is intact"
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


def test_only_regular_files_are_read(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"four")
    assert read_regular(path, 4) == b"four"
    with pytest.raises(ValueError, match="more than 3 bytes"):
        read_regular(path, 3)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "nothing", 4)
    with pytest.raises(ValueError, match="a folder"):
        read_regular(tmp_path, 4)
    with pytest.raises(ValueError, match="no regular file"):
        read_regular(Path("/dev/null"), 4)


def test_a_link_that_leads_nowhere_is_there_and_cannot_be_read(tmp_path: Path):
    for name, target in (("circle", "circle"), ("broken", "nothing")):
        (tmp_path / name).symlink_to(target)
        assert is_there(tmp_path / name)
        with pytest.raises(ValueError, match="a link that leads nowhere"):
            read_regular(tmp_path / name, 4)
    assert not is_there(tmp_path / "nothing")


def test_what_is_damaged_is_moved_aside_and_kept(tmp_path: Path):
    (tmp_path / "a.npz").write_bytes(b"damaged")
    aside = move_damaged_aside(tmp_path / "a.npz")
    assert aside.name.startswith("a.damaged-")
    assert (aside.suffix, aside.read_bytes()) == (".npz", b"damaged")
    assert not is_there(tmp_path / "a.npz")
