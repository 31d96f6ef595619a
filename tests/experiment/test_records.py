"""Records are read as they were written or not at all."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkd.experiment.records import (
    DamagedRecordError,
    DoneRecord,
    Provenance,
    SplitRecord,
    parse_record,
    read_record,
    write_record,
)

SPLIT = {"training": [0, 3], "validation": [1, 2], "validation_groups": [1, 1]}
DONE = DoneRecord(member="four/00", epochs=3, best_rmse_px=1.5, files={"validation.npy": "a" * 64})


def test_there_and_back(tmp_path: Path):
    path = tmp_path / "done.json"
    write_record(path, DONE)
    assert read_record(path, DoneRecord) == DONE
    values = json.loads(path.read_text())
    assert values["version"] == 2
    path.write_text(json.dumps(dict(reversed(values.items()))))
    assert read_record(path, DoneRecord) == DONE, "neither order nor indentation count"


def test_records_of_earlier_versions_have_no_checksum():
    record = parse_record(json.dumps(SPLIT).encode(), "split.json", SplitRecord)
    assert (record.training, record.dropped_labels, record.taught_px) == ([0, 3], [], None)
    provenance = {"fkd": "0.1.0", "data": "faces", "data_checksum": "abc"}
    assert parse_record(json.dumps(provenance).encode(), "p", Provenance).model_extra == {
        "fkd": "0.1.0",
        "data": "faces",
    }


@given(position=st.floats(0, 0.999), byte=st.integers(0, 255))
def test_a_changed_byte_is_noticed_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, position: float, byte: int
):
    path = tmp_path_factory.getbasetemp() / "split.json"
    record = SplitRecord(specialist="four", **SPLIT)
    write_record(path, record)
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] = byte
    with suppress(DamagedRecordError):
        assert parse_record(bytes(content), "split.json", SplitRecord) == record


@given(cut=st.floats(0, 0.99))
def test_a_cut_record_is_noticed(tmp_path_factory: pytest.TempPathFactory, cut: float):
    path = tmp_path_factory.getbasetemp() / "done.json"
    write_record(path, DONE)
    content = path.read_bytes().rstrip()
    with pytest.raises(DamagedRecordError):
        parse_record(content[: int(cut * len(content))], "done.json", DoneRecord)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "received an empty file"),
        (b"\0\0", "received another file"),
        (b"\xff\xfe[", "received another file"),
        (b"[" * 100_000, "received another file"),
        (b"9" * 5_000, "received another file"),
        (b"[1, 2]", "valid dictionary"),
        (b'"\\ud800"', "valid dictionary"),
        (b"{}", "training: Field required"),
        ({**SPLIT, "more": 1}, "more: Extra inputs"),
        ({**SPLIT, "training": [0, -1]}, "training.1: Input should be greater than or equal to 0"),
        ({**SPLIT, "training": [0, 2**31]}, "training.1: Input should be less than"),
        ({**SPLIT, "training": [0, 1.5]}, "training.1: Input should be a valid integer"),
        ({**SPLIT, "training": [0, True]}, "training.1: Input should be a valid integer"),
        ({**SPLIT, "training": []}, "training: List should have at least 1 item"),
        ({**SPLIT, "training": [0, 0]}, "a row is listed twice"),
        ({**SPLIT, "training": [0, 1]}, "a row is listed twice"),
        ({**SPLIT, "validation_groups": [1]}, "2 validation rows have 1 groups"),
        ({**SPLIT, "taught_px": [[[1.0, 2.0]]]}, "2 training rows are taught 1 faces"),
        ({**SPLIT, "version": 2}, "do not match their checksum"),
        ({**SPLIT, "checksum": None}, "do not match their checksum"),
        ({**SPLIT, "checksum": "0" * 64, "version": 2}, "do not match their checksum"),
    ],
)
def test_what_is_no_split_is_one_line(content: bytes | dict[str, Any], words: str):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(
        DamagedRecordError, match=rf"^split.json: expected [^\n]*{words}[^\n]*; put it back from [^\n]*$"
    ):
        parse_record(text, "split.json", SplitRecord)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "", ".", "..", "a/b", "a\\b", "a\nb"])
def test_files_are_plain_names(name: str):
    text = json.dumps({"files": {name: "a" * 64}}).encode()
    with pytest.raises(DamagedRecordError, match=r"^done.json: expected [^\n]*String should match[^\n]*$"):
        parse_record(text, "done.json", DoneRecord)


def test_a_record_of_a_later_version_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fkd.experiment.records._THIS_VERSION", 3)
    write_record(tmp_path / "done.json", DONE)
    monkeypatch.undo()
    with pytest.raises(DamagedRecordError, match="version 2, received version 3; use the fkd that wrote it"):
        read_record(tmp_path / "done.json", DoneRecord)


def test_only_files_are_opened(tmp_path: Path):
    path = tmp_path / "done.json"
    with pytest.raises(DamagedRecordError, match="received none; fkd train makes"):
        read_record(path, DoneRecord)
    path.mkdir()
    with pytest.raises(DamagedRecordError, match="received a folder; "):
        read_record(path, DoneRecord)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(DamagedRecordError, match="received no regular file; "):
        read_record(path, DoneRecord)
    path.unlink()
    with path.open("wb") as stream:
        stream.truncate(DoneRecord.most_bytes + 1)
    with pytest.raises(DamagedRecordError, match="received more than 16,777,216 bytes; "):
        read_record(path, DoneRecord)
