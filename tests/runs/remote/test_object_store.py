from pathlib import Path

import pytest

from fkd.core.errors import UserError
from fkd.runs.remote.object_store import ObjectStore


@pytest.fixture(params=["file", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store; tests/test_remote.py does the same with S3."""
    return ObjectStore((tmp_path / "remote").as_uri() if request.param == "file" else f"memory:/{tmp_path}")


def test_objects_come_and_go(objects: ObjectStore):
    objects.write("run/four/split.json", b"1")
    objects.write("run/four/split.json", b"2")
    assert objects.read("run/four/split.json") == b"2"
    assert objects.keys("run") == ["run/four/split.json"]
    assert objects.keys("another") == []
    objects.delete("run/four/split.json")
    objects.delete("run/four/split.json")
    with pytest.raises(FileNotFoundError):
        objects.read("run/four/split.json")


def test_only_one_creates(objects: ObjectStore):
    objects.create("run/lease.json", b"first")
    with pytest.raises(FileExistsError):
        objects.create("run/lease.json", b"second")
    assert objects.read("run/lease.json") == b"first"


def test_a_local_folder_never_shows_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    objects = ObjectStore(tmp_path.as_uri())
    objects.write("run/state.npz", b"whole")

    def run_out_of_space(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("full")

    monkeypatch.setattr(Path, "write_bytes", run_out_of_space)
    with pytest.raises(UserError, match=r"state\.npz: cannot be written \(full\)"):
        objects.write("run/state.npz", b"other")
    assert objects.read("run/state.npz") == b"whole"
    assert objects.keys("run") == ["run/state.npz"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("models_store", "expected the URL of a remote store"),
        ("carrier-pigeon://loft", "Protocol not known"),
        ("gs://bucket/prefix", "install gcsfs"),
        ("file:///proc/fkd", "No such file or directory"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_clear_line(url: str, message: str):
    with pytest.raises(UserError, match=message) as caught:
        ObjectStore(url)
    assert "\n" not in str(caught.value)
