import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import Field

from fkd.core.errors import UserError
from fkd.experiment.settings import Name, Settings, read_settings, validated


class _Inner(Settings):
    count: int = Field(1, ge=1)


class _Outer(Settings):
    inner: _Inner = _Inner()
    share: float = 0.5
    name: Name = "x"


NO_NAME = "expected a name without slashes that begins with neither a dot nor a dash"


@pytest.mark.parametrize("text", ["- a list", "a: [", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"bad\.yaml: expected"):
        read_settings(file)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"absent\.yaml: expected a YAML file, found none"):
        read_settings(tmp_path / "absent.yaml")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_read(tmp_path: Path, make: Callable[[Path], None]):
    make(tmp_path / "odd.yaml")
    with pytest.raises(UserError, match=r"odd\.yaml: expected a YAML file, received something else"):
        read_settings(tmp_path / "odd.yaml")


def test_settings_become_an_object():
    assert validated(_Outer, {"inner": {"count": 3}}, "origin").inner.count == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"inner": {"count": 0}},
            "a.yaml: inner.count: Input should be greater than or equal to 1; received 0",
        ),
        ({"inner": {"cuont": 2}}, "a.yaml: inner.cuont: there is no such setting; received 2"),
        ({"inner": {"count": True}}, "a.yaml: inner: count: expected another value than true or false"),
        ({"share": float("nan")}, "a.yaml: share: Input should be a finite number; received nan"),
        ({"share": float("inf")}, "a.yaml: share: Input should be a finite number; received inf"),
        ({"name": "../x"}, f"a.yaml: name: {NO_NAME}; received '../x'"),
        ({"name": "a/b"}, f"a.yaml: name: {NO_NAME}; received 'a/b'"),
        ({"name": "-x"}, f"a.yaml: name: {NO_NAME}; received '-x'"),
        ({"name": "a\nb"}, f"a.yaml: name: {NO_NAME}; received 'a\\nb'"),
        ({"name": ""}, "a.yaml: name: String should have at least 1 character; received ''"),
    ],
)
def test_a_wrong_setting_is_named_with_its_sections(settings: dict[str, object], message: str):
    with pytest.raises(UserError) as caught:
        validated(_Outer, settings, "a.yaml")
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["ensemble", "5x5", "we ird", "größe", "a.b_c-d", "[red]", "x" * 100])
def test_odd_names_of_folders_are_names(name: str):
    assert validated(_Outer, {"name": name}, "a.yaml").name == name
