from pathlib import Path

import pytest
from pydantic import Field

from fkd.core.errors import UserError
from fkd.experiment.settings import Settings, read_settings, validated


class _Inner(Settings):
    count: int = Field(1, ge=1)


class _Outer(Settings):
    inner: _Inner = _Inner()


@pytest.mark.parametrize("text", ["- a list", "a: [", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"bad\.yaml: expected"):
        read_settings(file)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"absent\.yaml: expected a YAML file, found none"):
        read_settings(tmp_path / "absent.yaml")


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
    ],
)
def test_a_wrong_setting_is_named_with_its_sections(settings: dict[str, object], message: str):
    with pytest.raises(UserError) as caught:
        validated(_Outer, settings, "a.yaml")
    assert str(caught.value) == message
