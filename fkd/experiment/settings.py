"""What all sections of an experiment file share, and how a file becomes one."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fkd.core.errors import UserError, one_line

Probability = Annotated[float, Field(ge=0, le=1)]

# Tags of alternatives are in pydantic's path to a wrong setting, but not in the file.
_TAGS = {"cnn", "resnet", "heatmap", "residual"}
_TAGS |= {"constant", "exponential_decay", "cosine_decay", "reduce_on_plateau"}


class Settings(BaseModel):
    """Base of every section: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnySettings = TypeVar("AnySettings", bound=Settings)


def read_settings(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file; raises UserError, naming the file, if it is none or missing."""
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: expected a YAML file, found none; check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: expected YAML; {one_line(error)}") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path}: expected `key: value` lines, received {type(settings).__name__}")
    return settings


def validated(section: type[AnySettings], settings: dict[str, Any], origin: str) -> AnySettings:
    """Settings as an object; raises UserError, naming `origin` and the first wrong setting."""
    try:
        return section.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        setting = (
            ".".join(str(part) for part in first["loc"] if part not in _TAGS) or section.__name__.lower()
        )
        unknown = first["type"] == "extra_forbidden"
        problem = "there is no such setting" if unknown else first["msg"].removeprefix("Value error, ")
        raise UserError(f"{origin}: {setting}: {problem}; received {first['input']!r:.80}") from error
