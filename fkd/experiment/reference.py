"""The reference of all settings, docs/settings.md, written from the sections themselves."""

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from fkd.experiment.experiment import Experiment
from fkd.experiment.settings import Named, Settings

_TITLE = """# Settings of an experiment file

Written by `make docs` from the sections of `fkd/experiment/`. A setting without a default must be given.

"""
_BOUNDS = {"gt": "above", "ge": "from", "lt": "below", "le": "up to", "max_length": "of length up to"}
_NAMES = {"int": "whole number", "float": "number", "str": "text", "bool": "true or false"}


def settings_reference() -> str:
    """Markdown that lists every section of an experiment file with its settings, values and defaults."""
    return _TITLE + "\n".join(_section(section) for section in dict.fromkeys(_sections(Experiment)))


def _sections(section: type[Settings]) -> Iterator[type[Settings]]:
    """A section and all those below it, in the order of the file."""
    yield section
    for field in section.model_fields.values():
        for below in _settings_in(field.annotation):
            yield from _sections(below)


def _section(section: type[Settings]) -> str:
    text = re.sub(r"^(\w+(?:, \w+)*):", r"- `\1`:", _joined(section.__doc__ or ""), flags=re.MULTILINE)
    rows = [_row(name, field) for name, field in section.model_fields.items()]
    table = "\n".join(["| setting | values | default |", "|---|---|---|", *rows])
    return f"## {section.__name__}\n\n{text}\n\n{table}\n"


def _joined(docstring: str) -> str:
    """A docstring with one line a sentence about a setting, and one for each of its paragraphs."""
    lines = [line.strip() for line in docstring.strip().splitlines()]
    text = "\n".join(lines)
    return re.sub(r"(?<!\n)\n(?!\n|\w+(?:, \w+)*: )", " ", text)


def _row(name: str, field: FieldInfo) -> str:
    if field.is_required():
        default = ""
    elif (value := field.get_default(call_default_factory=True)) is None:
        default = "none"
    else:
        default = "as below" if _settings_in(field.annotation) else f"`{_yaml(value)}`"
    return f"| `{name}` | {_values(field.annotation)}{_bounds(field.metadata)} | {default} |"


def _values(annotation: Any) -> str:
    """What may be given, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(arguments[0]) + _bounds(arguments[1:])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_values(argument) for argument in arguments if argument is not type(None))
    if origin is tuple:
        return f"list of {_values(arguments[0])}"
    if annotation == Named:
        return "`{Name: {argument: value}}`"
    if origin is dict:
        return f"{_values(arguments[1])}, by name"
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return _NAMES[annotation.__name__]


def _bounds(metadata: Any) -> str:
    """The least and the greatest value that pydantic lets through."""
    found = [
        f"{word} {getattr(bound, name):,}"
        for bound in _flat(metadata)
        for name, word in _BOUNDS.items()
        if hasattr(bound, name)
    ]
    return f" {', '.join(found)}" if found else ""


def _flat(metadata: Any) -> Iterator[Any]:
    for entry in metadata:
        yield from entry.metadata if isinstance(entry, FieldInfo) else (entry,)


def _settings_in(annotation: Any) -> list[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [section for argument in get_args(annotation) for section in _settings_in(argument)]


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[]" if value in ((), {}) else str(value)


if __name__ == "__main__":
    print(settings_reference(), end="")
