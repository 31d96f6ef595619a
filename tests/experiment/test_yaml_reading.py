from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkd.core.errors import UserError
from fkd.experiment.yaml_reading import MOST_BYTES, read_yaml

LAUGHS = "a0: &a0 [x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


def test_plain_values_and_what_is_said_once_for_several_places():
    assert read_yaml("a: [1, 2.5, true, null, x]", "a.yaml") == {"a": [1, 2.5, True, None, "x"]}
    assert read_yaml(b"a: &one {b: 1}\nc: *one\nd: {<<: *one, b: 2}", "a.yaml") == {
        "a": {"b": 1},
        "c": {"b": 1},
        "d": {"b": 2},
    }
    assert read_yaml("\ufeffa: 1", "a.yaml") == {"a": 1}, "a byte order mark is no part of the text"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("seed: 1\nname: x\nseed: 2", "line 3: seed is given a second time, after line 1"),
        ("a: {b: 1, 'b': 2}", "line 1: b is given a second time"),
        ("[" * 5000 + "]" * 5000, "line 1: nested more than 50 deep"),
        ("a: " * 5000, "line 1: "),
        (LAUGHS, "more than 50,000 values"),
        ("a: &a [*a]", "an alias stands within what it stands for"),
        ("a: *b", "found undefined alias 'b'"),
        ("a: 2020-13-45", "line 1: '2020-13-45' cannot be read as timestamp"),
        ("a: !!int x", "'x' cannot be read as int"),
        ("a: !!bool x", "'x' cannot be read as bool"),
        ("a: 0x" + "f" * 5000, "cannot be read as int"),
        ("a: " + "1" * 5000, "cannot be read as int"),
        ("a: \x01", "unacceptable character"),
        ("a:\n\tb: 1", "line 2: while scanning for the next token found character"),
        ("a: 1\n---\nb: 1", "line 2: expected a single document in the stream but found another document"),
        ("a: 1\n".encode("utf-16"), "expected YAML in UTF-8"),
        (b"name: \xfc", "expected YAML in UTF-8"),
        ("#" * (MOST_BYTES + 1), "expected at most 262,144 bytes of YAML"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_place(content: str | bytes, words: str):
    with pytest.raises(UserError) as caught:
        read_yaml(content, "a.yaml")
    assert str(caught.value).startswith("a.yaml: expected ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_tag_makes_an_object_or_runs_anything(tmp_path: Path):
    for tag in ("object/apply:os.mkdir", "object/new:os.mkdir", "name:os.mkdir", "object:os.mkdir"):
        with pytest.raises(UserError, match="could not determine a constructor"):
            read_yaml(f"a: !!python/{tag} ['{tmp_path / 'made'}']", "a.yaml")
    assert not (tmp_path / "made").exists()


@given(st.text(st.sampled_from("abc:{}[]&*!|>-?,#\"'%@ \n\t0123.~<"), max_size=60))
def test_any_text_is_a_value_or_a_users_mistake(text: str):
    with suppress(UserError):
        read_yaml(text, "a.yaml")
