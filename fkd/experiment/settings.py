"""What all sections of an experiment file share, and how a file becomes one."""

from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fkd.core.errors import UserError
from fkd.experiment.yaml_reading import MOST_BYTES, read_yaml

Probability = Annotated[float, Field(ge=0, le=1)]


def _names_a_folder(text: str) -> str:
    if not text.isprintable() or {"/", "\\"} & set(text) or text[0] in ".-":
        raise ValueError("expected a name without slashes that begins with neither a dot nor a dash")
    return text


# Folders are called so.
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_names_a_folder)]

# Something of a library by its name, such as {RandomGamma: {p: 0.3}}.
Named = dict[str, dict[str, Any]]


def name_of(named: Named) -> str:
    """The one name; raises ValueError where there is another number of them."""
    if len(named) != 1:
        raise ValueError(f"expected one name with its arguments, received {len(named)}")
    return next(iter(named))


# Tags of alternatives are in pydantic's path to a wrong setting, but not in the file.
_TAGS = {"cnn", "resnet", "heatmap", "residual"}
_TAGS |= {"constant", "exponential_decay", "cosine_decay", "reduce_on_plateau"}


class Settings(BaseModel):
    """Base of every section: immutable, unknown keys and numbers that are none refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, settings: Any) -> Any:
        """Pydantic alone would take it for 1."""
        given = settings if isinstance(settings, dict) else {}
        for name, field in cls.model_fields.items():
            allowed = (field.annotation, *get_args(field.annotation))
            if isinstance(given.get(name), bool) and bool not in allowed:
                raise ValueError(f"{name}: expected another value than true or false")
        return settings


AnySettings = TypeVar("AnySettings", bound=Settings)


def read_settings(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file; raises UserError, naming the file, if it is none or missing."""
    if not path.exists():
        raise UserError(f"{path}: expected a YAML file, found none; check the path")
    if not path.is_file():  # a pipe or a device may never end
        raise UserError(f"{path}: expected a YAML file, received something else; name a file")
    with path.open("rb") as file:
        return settings_of(file.read(MOST_BYTES + 1), str(path))


def settings_of(content: bytes, origin: str) -> dict[str, Any]:
    """The keys and values of a YAML file's content; raises UserError, naming `origin`, if it has none."""
    settings = read_yaml(content, origin)
    if not isinstance(settings, dict):
        received = "nothing" if settings is None else type(settings).__name__
        raise UserError(f"{origin}: expected `key: value` lines, received {received}")
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
        # A whole section says nothing that the problem does not.
        of_section = first["type"] == "value_error" and isinstance(first["input"], dict)
        received = "" if of_section else f"; received {first['input']!r:.80}"
        raise UserError(f"{origin}: {setting}: {problem}{received}") from error
