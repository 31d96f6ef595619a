import hashlib
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from competition_files import Table, competition_tables, write_competition, write_table
from labelled_photos import write_dlib, write_imm, write_photo

from fkd.core.errors import UserError
from fkd.core.keypoints import IBUG68, IMM73, KAGGLE15, Schema, listed_schema
from fkd.data import cache
from fkd.data.cache import cache_path, checksum_files, load_folder
from fkd.data.faces import FaceData
from fkd.data.kaggle_csv import find_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_competition(tmp_path / "tiny")


def load(folder: Path, schema: Schema | None = None) -> tuple[FaceData, list[str]]:
    said: list[str] = []
    return load_folder("tiny", folder, folder.parent / "cache", said.append, schema), said


def cache_of(folder: Path) -> Path:
    return cache_path("tiny", folder, folder.parent / "cache")


def assert_same(one: FaceData, other: FaceData) -> None:
    assert (one.name, one.checksum, one.point_names) == (other.name, other.checksum, other.point_names)
    for part in ("training", "test"):
        for field in ("images", "keypoints", "ids"):
            expected = getattr(getattr(one, part), field)
            received = getattr(getattr(other, part), field)
            np.testing.assert_array_equal(received, expected)
            assert received.dtype == expected.dtype
    np.testing.assert_equal(other.groups, one.groups)
    pd.testing.assert_frame_equal(other.lookup, one.lookup)
    assert (one.solution is None) == (other.solution is None)
    if one.solution is not None:
        pd.testing.assert_frame_equal(other.solution, one.solution)


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    for reader in ("kaggle_csv.open_csv", "labelled_photos.cut_out"):
        monkeypatch.delattr(f"fkd.data.{reader}")


def test_the_second_load_opens_no_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, said = load(folder)
    assert said == [f"Reading {folder} ..."]
    forbid_reading(monkeypatch)
    monkeypatch.delattr(cache, "checksum_files")
    second, said = load(folder)
    assert said == []
    assert_same(first, second)


def test_a_set_without_groups_and_solution_comes_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "groups.csv").unlink()
    (folder / "solution.csv").unlink()
    first, _ = load(folder)
    forbid_reading(monkeypatch)
    assert_same(first, load(folder)[0])


def test_the_cache_is_plain_numpy(folder: Path) -> None:
    load(folder)
    with np.load(cache_of(folder), allow_pickle=False) as archive:
        assert archive["training_images"].dtype == np.uint8
        assert archive["lookup.FeatureName"][0] == "left_eye_center_x"
    assert [path.name for path in cache_of(folder).parent.iterdir()] == [cache_of(folder).name]


def test_a_touched_source_is_trusted_by_its_checksum_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = load(folder)
    os.utime(folder / "test.zip", ns=(0, 0))
    forbid_reading(monkeypatch)
    assert_same(first, load(folder)[0])
    monkeypatch.delattr(cache, "checksum_files")  # the new time has been noted
    assert_same(first, load(folder)[0])


def test_a_source_changed_behind_its_size_and_time_is_read_again(folder: Path) -> None:
    load(folder)
    before = (folder / "training.zip").stat()
    change_keypoint(folder)
    os.utime(folder / "training.zip", ns=(before.st_atime_ns, before.st_mtime_ns))
    data, said = load(folder)
    assert said == [f"Reading {folder} ..."]
    assert data.training.keypoints[0, 0, 0] == 1


def test_what_is_no_file_is_no_cache(folder: Path) -> None:
    cache_of(folder).parent.mkdir()
    os.mkfifo(cache_of(folder))  # opening it would wait for ever
    first, _ = load(folder)
    assert cache_of(folder).is_file()
    assert_same(first, load(folder)[0])


def change_keypoint(folder: Path) -> None:
    table = competition_tables()["training"]
    table[1][0] = "1.0"  # as long as the "0.0" before
    write_table(folder, "training", table, zipped=True)


SOURCE_CHANGES: dict[str, Callable[[Path], object]] = {
    "changed": change_keypoint,
    "added": lambda folder: write_table(folder, "training", competition_tables()["training"]),
    "taken away": lambda folder: (folder / "groups.csv").unlink(),
}


@pytest.mark.parametrize("change", SOURCE_CHANGES.values(), ids=SOURCE_CHANGES)
def test_other_sources_are_read_again(folder: Path, change: Callable[[Path], object]) -> None:
    first, _ = load(folder)
    change(folder)
    os.utime(folder / "training.zip", ns=(0, 0))
    second, said = load(folder)
    assert said == [f"Reading {folder} ..."]
    assert second.checksum != first.checksum
    assert_same(second, load(folder)[0])


def test_a_cache_of_another_format_is_built_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = load(folder)
    monkeypatch.setattr(cache, "FORMAT", 0)
    second, said = load(folder)
    assert said == [f"Reading {folder} ..."]
    assert_same(first, second)


def test_damage_anywhere_is_noticed_or_harmless(folder: Path) -> None:
    first, _ = load(folder)
    path = cache_of(folder)
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    tail = range(len(sound) - 1500, len(sound), 7)  # the archive's table of contents
    noticed = 0
    for place in [*rng.integers(len(sound), size=50), *range(0, 400, 7), *tail]:
        damaged_bytes = bytearray(sound)
        damaged_bytes[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged_bytes)
        data, said = load(folder)
        assert_same(first, data)
        noticed += any("damaged and is built anew" in line for line in said)
    assert noticed > 100


@pytest.mark.parametrize("other", [lambda a: a.reshape(-1), lambda a: a[None], lambda a: a + 1, None])
def test_an_array_that_was_written_again_is_noticed(folder: Path, other: Callable | None) -> None:
    first, _ = load(folder)
    with np.load(cache_of(folder)) as file:
        arrays = {name: file[name] for name in file.files}
    about, keypoints = arrays.pop("about.json"), arrays.pop("training_keypoints")
    np.savez(cache_of(folder), **arrays, **({"training_keypoints": other(keypoints)} if other else {}))
    with zipfile.ZipFile(cache_of(folder), "a") as archive:
        archive.writestr("about.json", about)
    data, said = load(folder)
    assert_same(first, data)
    assert any("damaged and is built anew" in line for line in said)


def test_a_header_that_asks_for_fewer_values_is_noticed(folder: Path) -> None:
    first, _ = load(folder)
    path = cache_of(folder)
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b"(3, 96, 96)", b"(2, 96, 96)"))
    assert path.read_bytes() != sound
    data, said = load(folder)
    assert_same(first, data)
    assert said[0].endswith("(ValueError: wrong CRC-32 of training_images.npy).")


@pytest.mark.parametrize("size", [0, 1000, -1000], ids=["empty", "beginning", "end is missing"])
def test_a_cut_cache_is_built_anew(folder: Path, size: int) -> None:
    first, _ = load(folder)
    path = cache_of(folder)
    path.write_bytes(path.read_bytes()[:size])
    data, said = load(folder)
    assert_same(first, data)
    assert said[0].startswith(f"The cache {path} is damaged and is built anew (")
    assert load(folder)[1] == []


def test_a_cache_that_cannot_be_written_stops_nothing(folder: Path) -> None:
    cache_of(folder).parent.write_text("a file where the folder should be")
    data, said = load(folder)
    assert len(data.training.ids) == 3
    assert said[1].startswith(f"The cache {cache_of(folder)} was not written (")
    assert len(said) == 2


def test_a_full_disk_leaves_nothing_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_some(stream: object, **arrays: object) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", write_some)
    _, said = load(folder)
    assert "No space left on device" in said[1]
    assert list(cache_of(folder).parent.iterdir()) == []


def test_bad_files_leave_no_cache(tmp_path: Path) -> None:
    def spoil(tables: dict[str, Table]) -> None:
        tables["solution"][1][1] = "x"

    folder = write_competition(tmp_path / "tiny", spoil)
    with pytest.raises(UserError, match="line 2, column Location"):
        load(folder)
    assert not cache_of(folder).parent.exists()


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "test.zip").unlink()
    with pytest.raises(UserError, match=r"\.asf files .* a folder without test\.csv \(or \.zip\);"):
        load(folder)


@pytest.mark.parametrize(("write", "schema"), [(write_imm, IMM73), (write_dlib, IBUG68)])
def test_labelled_photos_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Path], schema: Schema
) -> None:
    folder = write(tmp_path / "photos")
    first, said = load(folder)
    assert said == [f"Reading {folder} ..."]
    assert first.point_names == schema.names
    forbid_reading(monkeypatch)
    assert_same(first, load(folder)[0])


@pytest.mark.parametrize(("write", "photo"), [(write_imm, "02_01.png"), (write_dlib, "images/a.png")])
def test_a_changed_photo_is_read_again(tmp_path: Path, write: Callable[[Path], Path], photo: str) -> None:
    folder = write(tmp_path / "photos")
    first, _ = load(folder)
    write_photo(folder / photo, 210, 160)
    second, said = load(folder)
    assert said == [f"Reading {folder} ..."]
    assert second.checksum != first.checksum


def test_a_cache_of_other_points_is_built_anew(folder: Path) -> None:
    def take_points_away(tables: dict[str, Table]) -> None:
        for line in tables["IdLookupTable"][1:]:
            line[2] = "nose_tip_x"

    write_competition(folder, take_points_away)
    whole, _ = load(folder, KAGGLE15)
    some, said = load(folder, listed_schema(("nose_tip", "left_eye_center", "right_eye_center")))
    assert said == [f"Reading {folder} ..."]
    assert some.point_names == ("nose_tip", "left_eye_center", "right_eye_center")
    np.testing.assert_array_equal(some.training.keypoints, whole.training.keypoints[:, [10, 0, 1]])
    assert_same(whole, load(folder, KAGGLE15)[0])


OTHER_POINTS = {
    "imm for kaggle15": (write_imm, KAGGLE15, "73 points of imm73, the experiment wants kaggle15"),
    "a list": (write_dlib, listed_schema(("nose_tip", "hat")), "ibug68, the experiment wants the point hat"),
}


@pytest.mark.parametrize(("write", "schema", "words"), OTHER_POINTS.values(), ids=OTHER_POINTS)
def test_other_points_than_the_folder_holds_are_refused(
    tmp_path: Path, write: Callable[[Path], Path], schema: Schema, words: str
) -> None:
    with pytest.raises(UserError, match=words) as complaint:
        load(write(tmp_path / "photos"), schema)
    assert str(complaint.value).startswith(f"{tmp_path / 'photos'}: holds the ")


def test_folders_of_one_name_have_two_caches(tmp_path: Path) -> None:
    assert cache_path("tiny", tmp_path / "a" / "tiny", tmp_path) != cache_path(
        "tiny", tmp_path / "tiny", tmp_path
    )


def test_the_checksum_is_that_of_sha256sum(folder: Path) -> None:
    files = find_files(folder)
    names = [path.name for path in files.values()]
    assert names == ["training.zip", "test.zip", "IdLookupTable.csv", "groups.csv", "solution.csv"]
    listing = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, check=True).stdout
    assert checksum_files(files) == hashlib.sha256(listing).hexdigest()


def test_a_folder_whose_name_is_no_text_has_a_cache(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"f\xff")
    assert cache_path("tiny", folder, tmp_path) != cache_path("tiny", tmp_path / "f", tmp_path)
