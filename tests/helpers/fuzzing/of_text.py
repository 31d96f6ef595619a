"""Damage to texts: lines, tables, and trees of values in JSON and YAML."""

import csv
import io
import json
import random
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import yaml

from fuzzing.of_bytes import Damage, on_bytes

VALUES: tuple[Any, ...] = (
    *(
        0,
        -1,
        1,
        2,
        2**31,
        2**63,
        10**9,
        10**30,
        -(10**18),
        0.5,
        -0.0,
        1e38,
        1e308,
        float("inf"),
        float("nan"),
    ),
    *(None, True, False, "", "x", "../../evil", "1", "é" * 300, "a" * 100_000, "\x00", "[red]", "\ud800"),
    *([], {}, [[]], [1, 2, 3], {"a": 1}, [None], "2026-01-01", "!!python/object/apply:os.system ['true']"),
)
NUMBERS = (
    *(
        "0",
        "-1",
        "1e9",
        "1e38",
        "1e39",
        "1e400",
        "-1e9",
        "nan",
        "inf",
        "-inf",
        "99999999",
        "9" * 5000,
        "",
        "x",
    ),
    *("1_000", "0x10", "1,5", "\u0661", "true", "null", "1e-400", "007", "--1", "1 2"),
)
ABSURD_LABELS = ("1e9", "1e38", "-1e9", "99999999")


def on_text(change: Callable[[random.Random, str], str | bytes | None]) -> Damage:
    """A damage to a text, also to the text in a zip."""

    def changed(rng: random.Random, data: bytes) -> bytes | None:
        try:
            after = change(rng, data.decode())
        except (UnicodeDecodeError, ValueError, RecursionError):
            return None
        return after.encode(errors="surrogatepass") if isinstance(after, str) else after

    changed.__name__ = change.__name__
    return on_bytes(changed)


def _number_replaced(rng: random.Random, text: str) -> str | None:
    return _with_number(rng, text, rng.choice(NUMBERS))


def _with_number(rng: random.Random, text: str, new: str, columns: int | None = None) -> str | None:
    """Put another text in the place of a number; `columns`: of the first so many of a table's lines."""
    found = list(re.finditer(r"-?\d+(\.\d+)?(e-?\d+)?", text))
    if columns is not None:
        ends = [(line.start(), line.end()) for line in re.finditer(rf"(?m)^(?:[^,\n]*,){{{columns}}}", text)]
        found = [number for number in found if any(a <= number.start() < b for a, b in ends[1:])]
    if not found:
        return None
    number = rng.choice(found)
    return text[: number.start()] + new + text[number.end() :]


def _numbers_swapped(rng: random.Random, text: str) -> str | None:
    found = list(re.finditer(r"(?<![\w.])-?\d+(\.\d+)?(?![\w.])", text))
    if len(found) < 2:
        return None
    one, two = sorted(rng.sample(found, 2), key=re.Match.start)
    return text[: one.start()] + two[0] + text[one.end() : two.start()] + one[0] + text[two.end() :]


def _line_repeated(rng: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    return "".join([*lines[:at], lines[at], *lines[at:]])


def _line_removed(rng: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return "".join(lines)


def _lines_swapped(rng: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    return "".join(lines)


def _word_replaced(rng: random.Random, text: str) -> str | None:
    found = list(re.finditer(r"[A-Za-z_]+", text))
    if not found:
        return None
    word = rng.choice(found)
    return text[: word.start()] + rng.choice(("x", "null", "../../evil", "'", '"', "é")) + text[word.end() :]


def _in_utf_16(rng: random.Random, text: str) -> bytes:
    return text.encode("utf-16")


def _with_other_newlines(rng: random.Random, text: str) -> str:
    return rng.choice(("\ufeff", "")) + text.replace("\n", rng.choice(("\r\n", "\r", "\n\n")))


def _with_a_nul(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text))
    return text[:at] + "\0" + text[at:]


def _with_a_long_line(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text))
    return text[:at] + rng.choice("9 a[,") * 5_000_000 + text[at:]


# Tables


def _with_another_separator(rng: random.Random, text: str) -> str:
    return text.replace(",", rng.choice(";\t|"))


def _cells_swapped(rng: random.Random, text: str) -> str | None:
    rows = list(csv.reader(io.StringIO(text)))
    if len(rows) < 2 or not all(rows):
        return None
    for _ in range(20):
        (one, i), (two, j) = ((row := rng.choice(rows), rng.randrange(len(row))) for _ in range(2))
        if one[i] != two[j]:
            one[i], two[j] = two[j], one[i]
            break
    return _joined(rows)


def _column_removed(rng: random.Random, text: str) -> str:
    rows = list(csv.reader(io.StringIO(text)))
    column = rng.randrange(len(rows[0]))
    return _joined([row[:column] + row[column + 1 :] for row in rows])


def _header_alone(rng: random.Random, text: str) -> str:
    return text.splitlines(keepends=True)[0]


def _joined(rows: list[list[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()


def _an_absurd_label(rng: random.Random, text: str) -> str | None:
    """A label of training.csv that no face can have."""
    return _with_number(rng, text, rng.choice(ABSURD_LABELS), columns=text.split("\n")[0].count(","))


absurd_label: Damage = on_text(_an_absurd_label)


# Trees of values: JSON and YAML


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, value in items for place in [(tree, key), *_places(value)]]


def _value_replaced(rng: random.Random, tree: Any) -> Any:
    if not (places := _places(tree)):
        return rng.choice(VALUES)
    container, key = rng.choice(places)
    container[key] = rng.choice(VALUES)
    return tree


def _value_removed(rng: random.Random, tree: Any) -> Any:
    if places := _places(tree):
        container, key = rng.choice(places)
        del container[key]
    return tree


def _values_swapped(rng: random.Random, tree: Any) -> Any:
    places = _places(tree)
    for _ in range(20):
        (one, i), (two, j) = rng.choice(places), rng.choice(places)
        alike = type(one[i]) is type(two[j]) and one[i] != two[j]
        if alike and not isinstance(one[i], dict | list):
            one[i], two[j] = two[j], one[i]
            break
    return tree


def _rows_swapped(rng: random.Random, tree: Any) -> Any:
    lists = [
        value for value in (c[k] for c, k in _places([tree])) if isinstance(value, list) and len(value) > 1
    ]
    if lists:
        rows = rng.choice(lists)
        one, two = rng.sample(range(len(rows)), 2)
        rows[one], rows[two] = rows[two], rows[one]
    return tree


def _key_added(rng: random.Random, tree: Any) -> Any:
    if mappings := [value for value in (c[k] for c, k in _places([tree])) if isinstance(value, dict)]:
        rng.choice(mappings)[rng.choice(("x", "", "version", "../../evil"))] = rng.choice(VALUES)
    return tree


def _tree(change: Callable[[random.Random, Any], Any], read: Any, write: Any) -> Damage:
    def changed(rng: random.Random, text: str) -> str:
        try:
            return str(write(change(rng, read(text))))
        except (yaml.YAMLError, UnicodeError) as error:  # not every value can be written
            raise ValueError from error

    changed.__name__ = change.__name__
    return on_text(changed)


def _nested_deeply(rng: random.Random, text: str) -> str:
    depth = rng.choice((900, 5_000, 100_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    return opening * depth + "1" + closing * depth


def _aliases(rng: random.Random, text: str) -> str:
    """Nine levels of nine aliases each: a small file of a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, rng.choice((5, 10)))]
    return "\n".join([*lines, text])


def _led_back_to_itself(rng: random.Random, text: str) -> str:
    return rng.choice(("a: &a [*a]\n", "base: tiny\na: &a\n  <<: *a\n", "base: half\n", "base: [x]\n")) + text


def _an_object_of_python(rng: random.Random, text: str) -> str:
    return f"{text}\nx: !!python/object/apply:os.mkdir [executed]\n"


def _a_key_twice(rng: random.Random, text: str) -> str | None:
    """One of the keys of a JSON or YAML file, first with another value."""
    found = list(re.finditer(r'(?m)^( *)("?\w+"?): *(\w[^\n{\[,]*),?$', text))
    if not found:
        return None
    line = rng.choice(found)
    comma = "," if line[2].startswith('"') else ""
    return f"{text[: line.start()]}{line[1]}{line[2]}: 7{comma}\n{text[line.start() :]}"


key_twice: Damage = on_text(_a_key_twice)


TEXT: tuple[Damage, ...] = tuple(
    on_text(change)
    for change in (
        *(
            _number_replaced,
            _number_replaced,
            _number_replaced,
            _numbers_swapped,
            _line_repeated,
            _line_removed,
        ),
        *(_lines_swapped, _word_replaced, _in_utf_16, _with_other_newlines, _with_a_nul, _with_a_long_line),
    )
)
TABLE: tuple[Damage, ...] = tuple(
    map(on_text, (_with_another_separator, _cells_swapped, _cells_swapped, _column_removed, _header_alone))
)
_CHANGES = (_value_replaced, _value_replaced, _value_removed, _values_swapped, _rows_swapped, _key_added)
JSON: tuple[Damage, ...] = (
    *(_tree(change, json.loads, partial(json.dumps, indent=1)) for change in _CHANGES),
    key_twice,
    on_text(_nested_deeply),
)
YAML: tuple[Damage, ...] = (
    *(_tree(change, yaml.safe_load, partial(yaml.safe_dump, sort_keys=False)) for change in _CHANGES),
    *map(on_text, (_nested_deeply, _aliases, _led_back_to_itself, _an_object_of_python)),
)
