"""Experiment files: found by name, merged over their base, overridden and validated."""

import difflib
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, cast

from fkd.core.errors import UserError
from fkd.experiment.experiment import Experiment
from fkd.experiment.settings import read_settings, validated
from fkd.experiment.yaml_reading import read_yaml

EXPERIMENTS_FOLDER = Path("experiments")
# Folders in it that do not go into an experiment's name.
_SHELVES = ("published", "points68")

# A file may name another one that it changes.
_BASE = "base"

# Sections in each other that a setting may lie in; a file has four.
_MOST_SECTIONS = 10


def load_experiment(name_or_path: str, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file and apply overrides such as `specialists.four.members=4`.

    A file that names another one as its `base`, beside it or in experiments/, holds only what it changes
    there, null for what it does without. Raises UserError, naming the file and the setting, when a file is
    missing, is not YAML, or holds an unknown key or an impossible value.
    """
    path = experiment_file(name_or_path)
    settings = _read_settings(path, ())
    for override in overrides:
        apply_override(settings, override)
    origin = " ".join([str(path), *(f"--set {override:.200}" for override in overrides)])
    return validate_experiment({"name": _name(path), **settings}, origin)


def experiment_file(name_or_path: str) -> Path:
    """The file that a path or a name stands for, in whichever folder of experiments/ it lies.

    Raises UserError, with the nearest name, where there is none.
    """
    path = Path(name_or_path)
    if path.suffix == ".yaml":
        if path.is_file():
            return path
        raise UserError(f"{path}: expected an experiment file, found none; correct the path")
    named = EXPERIMENTS_FOLDER / f"{name_or_path}.yaml"
    if named.is_file():
        return named
    name = name_or_path.replace("/", "-")
    by_name = {_name(file): file for file in sorted(EXPERIMENTS_FOLDER.rglob("*.yaml"))}
    if name in by_name:
        return by_name[name]
    nearest = difflib.get_close_matches(name, by_name, n=1)
    meant = f"did you mean {nearest[0]}? " if nearest else ""
    first = ", ".join(file.stem for file in sorted(EXPERIMENTS_FOLDER.glob("*.yaml"))) or "none"
    raise UserError(
        f"{name_or_path}: no such experiment in {EXPERIMENTS_FOLDER}/; {meant}available: {first}; more are "
        "in its folders, and any file may be named by its path"
    )


def validate_experiment(settings: dict[str, Any], origin: str) -> Experiment:
    """Settings as an Experiment; raises UserError, naming `origin` and the first wrong setting."""
    return validated(Experiment, settings, origin)


def apply_override(settings: dict[str, Any], override: str) -> None:
    """Put `key.of.sections=value` into nested settings; the elements of a list go by their numbers, from 0.

    Raises UserError where the override is of another form or meets a single value on its way.
    """
    key, equals, value = override.partition("=")
    *sections, last = key.split(".")
    if not equals or not last or len(sections) > _MOST_SECTIONS:
        raise UserError(
            f"--set: expected key=value such as training.max_epochs=40, received {override!r:.200}"
        )
    origin, place = f"--set {override:.200}", cast("Any", settings)
    for section in sections:
        at = _key(place, section, origin)
        below = place.setdefault(section, {}) if isinstance(place, dict) else place[at]
        if not isinstance(below, dict | list):
            raise UserError(f"{origin}: {section} is a single value and has no settings below it")
        # A copy, because an alias in the file may have it elsewhere too.
        place[at] = place = copy(below)
    place[_key(place, last, origin)] = read_yaml(value, origin)


def _key(place: Any, name: str, origin: str) -> Any:
    """`name` as a key of a section, or as the number of an element of a list."""
    if isinstance(place, dict):
        return name
    numbers = [str(number) for number in range(len(place))]
    if name not in numbers:
        raise UserError(
            f"{origin}: expected the number of one of {len(numbers)} elements, counted from 0, "
            f"received {name}"
        )
    return numbers.index(name)


def _read_settings(path: Path, derived: tuple[Path, ...]) -> dict[str, Any]:
    """A file's settings put over those of its base; `derived` are the files that led here."""
    if path.resolve() in derived:
        raise UserError(f"{path}: its base leads back to itself; name another base")
    settings = read_settings(path)
    base = settings.pop(_BASE, None)
    if base is None:
        return settings
    if not isinstance(base, str):
        raise UserError(f"{path}: base: expected the name of an experiment, received {base!r:.80}")
    beside = path.parent / f"{base}.yaml"
    base_file = beside if beside.is_file() else experiment_file(base)
    return _merged(_read_settings(base_file, (*derived, path.resolve())), settings)


def _merged(base: Any, changes: Any) -> Any:
    """Changes put over a base, section by section; lists and values are replaced whole, null takes away.

    A section over a list, with numbers as its keys, changes the elements of these numbers alone.
    """
    if isinstance(base, list) and isinstance(changes, dict):
        by_number = {str(key): value for key, value in changes.items()}
        if not by_number.keys() <= {str(number) for number in range(len(base))}:
            return changes
        return [_merged(one, by_number.get(str(number), one)) for number, one in enumerate(base)]
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    merged = base | {key: _merged(base.get(key), value) for key, value in changes.items()}
    return {key: value for key, value in merged.items() if value is not None}


def _name(path: Path) -> str:
    """`nose-tip-three` for experiments/published/nose-tip/three.yaml; elsewhere the file's stem."""
    if not path.is_relative_to(EXPERIMENTS_FOLDER):
        return path.stem
    parts = path.relative_to(EXPERIMENTS_FOLDER).with_suffix("").parts
    return "-".join(parts[1:] if parts[0] in _SHELVES else parts)
