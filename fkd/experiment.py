"""An experiment file as a validated object.

One YAML file describes everything that decides a result: points, network, training, augmentation, members
and their selection. Unknown keys are refused, so that a misspelt setting never passes silently.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fkd.errors import UserError
from fkd.keypoints import SCHEMAS, Schema

EXPERIMENTS_FOLDER = Path("experiments")

Probability = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """Base of every section: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Convolution(Settings):
    """A convolution with ReLU and, where `pool` is above 1, max-pooling by that factor."""

    filters: int = Field(gt=0)
    kernel: int = Field(gt=0)
    padding: Literal["same", "valid"] = "valid"
    pool: int = Field(1, ge=1)


class Network(Settings):
    """A plain convolutional network with global average pooling and dense layers at its end."""

    kind: Literal["cnn"] = "cnn"
    input_normalisation: Literal["batch", "none"] = "batch"
    convolutions: tuple[Convolution, ...] = Field(min_length=1)
    dense: tuple[int, ...] = ()


class Optimizer(Settings):
    """A Keras optimiser by name; `rho` belongs to RMSProp."""

    name: Literal["rmsprop", "sgd", "adagrad"] = "rmsprop"
    learning_rate: float = Field(1e-3, gt=0)
    rho: float = Field(0.9, ge=0, lt=1)


class Training(Settings):
    """How one member is trained.

    checkpoint_seconds: the state is saved at least this far apart, in the middle of an epoch too.
    deterministic: the same rounding on a GPU every time, at the cost of speed; a CPU needs it not.
    """

    optimizer: Optimizer = Optimizer()
    max_epochs: int = Field(1000, ge=1)
    patience_epochs: int = Field(50, ge=1)
    checkpoint_seconds: float = Field(30.0, ge=0)
    deterministic: bool = False


class Flip(Settings):
    """Mirror left and right; the points change places with their twins."""

    probability: Probability = 0.0


class Contrast(Settings):
    """Stretch grey values about the image's mean by a factor from [1 - limit, 1 + limit]."""

    probability: Probability = 0.0
    limit: float = Field(0.2, ge=0, lt=1)


class Rotation(Settings):
    """Turn about the image's centre by an angle from [-max_degrees, max_degrees]."""

    probability: Probability = 0.0
    max_degrees: float = Field(10.0, ge=0, le=180)


class Elastic(Settings):
    """Shift every pixel by a smooth random field (Simard et al. 2003).

    `amplitude_px` is the field's root-mean-square shift along each axis, `smoothness_px` the standard
    deviation of the Gaussian that smooths it. The field must not fold: the amplitude is at most a fifth of
    the smoothness.
    """

    probability: Probability = 0.0
    amplitude_px: float = Field(1.0, ge=0)
    smoothness_px: float = Field(8.0, ge=1)

    @model_validator(mode="after")
    def _does_not_fold(self) -> "Elastic":
        if self.amplitude_px > self.smoothness_px / 5:
            raise ValueError(
                f"amplitude_px must be at most smoothness_px / 5 = {self.smoothness_px / 5:g}, "
                f"or the picture folds over itself; received {self.amplitude_px:g}"
            )
        return self


class Perspective(Settings):
    """Move each corner of the frame by up to `max_shift` of its side, inwards or outwards."""

    probability: Probability = 0.0
    max_shift: float = Field(0.05, ge=0, le=0.2)


class Augmentation(Settings):
    """The random changes of a training image; each is applied with its own probability."""

    flip: Flip = Flip()
    contrast: Contrast = Contrast()
    rotation: Rotation = Rotation()
    elastic: Elastic = Elastic()
    perspective: Perspective = Perspective()


class Specialist(Settings):
    """A subset of the keypoints and the rows that train it.

    rows: `labelled` takes the rows that have all points of the subset, `complete` those that have all
    points of the schema.
    """

    keypoints: str
    rows: Literal["labelled", "complete"] = "labelled"
    batch_size: int = Field(128, ge=1)
    members: int = Field(ge=1)


class Selection(Settings):
    """Which members make the prediction; `top`, `within_percent` and `indices` belong to their policies."""

    policy: Literal["all", "best", "top", "within", "greedy", "indices"] = "greedy"
    top: int = Field(5, ge=1)
    within_percent: float = Field(5.0, ge=0)
    indices: dict[str, tuple[int, ...]] = {}


class Experiment(Settings):
    """Everything that decides a result."""

    name: str
    seed: int = Field(0, ge=0)
    keypoint_schema: Literal["kaggle15"] = "kaggle15"
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    network: Network
    training: Training = Training()
    augmentation: Augmentation = Augmentation()
    specialists: dict[str, Specialist] = Field(min_length=1)
    selection: Selection = Selection()

    @model_validator(mode="after")
    def _specialists_share_no_points(self) -> "Experiment":
        taken: set[str] = set()
        for name, specialist in self.specialists.items():
            if specialist.keypoints not in self.schema_points.subsets:
                raise ValueError(
                    f"specialists.{name}.keypoints must be one of {', '.join(self.schema_points.subsets)}; "
                    f"received {specialist.keypoints!r}"
                )
            points = set(self.schema_points.subsets[specialist.keypoints])
            if shared := points & taken:
                raise ValueError(f"specialists.{name} predicts {min(shared)}, which another one predicts too")
            taken |= points
        return self

    @property
    def members(self) -> list[tuple[str, int]]:
        """All (specialist, index), in rounds, so that the first few are an ensemble already."""
        rounds = range(max(settings.members for settings in self.specialists.values()))
        return [
            (specialist, index)
            for index in rounds
            for specialist, settings in self.specialists.items()
            if index < settings.members
        ]

    def member_seed(self, specialist: str, index: int) -> tuple[int, int, int]:
        """Seed of a member: a function of the experiment's seed, the specialist's name and the index."""
        return self.seed, zlib.crc32(specialist.encode()), index

    @property
    def schema_points(self) -> Schema:
        """The points that the experiment is about."""
        return SCHEMAS[self.keypoint_schema]


def load_experiment(name_or_path: str, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file and apply overrides such as `specialists.four.members=4`.

    A bare name stands for `experiments/<name>.yaml`. Raises UserError, naming the file and the setting,
    when the file is missing, is not YAML, or holds an unknown key or an impossible value.
    """
    path = Path(name_or_path)
    if path.suffix != ".yaml":
        path = EXPERIMENTS_FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in EXPERIMENTS_FOLDER.glob("*.yaml"))) or "none"
        raise UserError(f"{path}: no such experiment file; experiments at hand: {known}")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: expected YAML; {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path}: expected `key: value` lines, received {type(settings).__name__}")
    for override in overrides:
        _apply_override(settings, override)
    origin = " ".join([str(path), *(f"--set {override}" for override in overrides)])
    return validate_experiment({"name": path.stem, **settings}, origin)


def validate_experiment(settings: dict[str, Any], origin: str) -> Experiment:
    """Settings as an Experiment; raises UserError, naming `origin` and the first wrong setting."""
    try:
        return Experiment.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(str(part) for part in first["loc"]) or "experiment"
        problem = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise UserError(f"{origin}: {setting}: {problem}; received {first['input']!r:.80}") from error


def differences(former: Experiment, current: Experiment) -> list[str]:
    """Settings in which two experiments differ, as `setting: former -> current`."""
    a, b = _flatten(former.model_dump()), _flatten(current.model_dump())
    return [
        f"{key}: {a.get(key)} -> {b.get(key)}"
        for key in sorted(a.keys() | b.keys())
        if a.get(key) != b.get(key)
    ]


def _apply_override(settings: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    *sections, last = key.split(".")
    if not equals or not last:
        raise UserError(f"--set: expected key=value such as training.max_epochs=40, received {override!r}")
    for section in sections:
        settings = settings.setdefault(section, {})
        if not isinstance(settings, dict):
            raise UserError(f"--set {override}: {section} is a single value and has no settings below it")
    try:
        settings[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"--set {override}: expected a YAML value after '=', received {value!r}") from error


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {
        key: value
        for name, branch in tree.items()
        for key, value in _flatten(branch, f"{prefix}.{name}" if prefix else str(name)).items()
    }
