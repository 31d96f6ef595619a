"""An experiment file as a validated object.

One YAML file describes everything that decides a result: points, network, training, augmentation, members
and their selection. Unknown keys are refused, so that a misspelt setting never passes silently.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import Field, model_validator

from fkd.core.errors import UserError
from fkd.core.keypoints import SCHEMAS, Schema, listed_schema
from fkd.experiment.augmentation import Augmentation
from fkd.experiment.network import MapNetwork, Network
from fkd.experiment.resources import Resources
from fkd.experiment.settings import Settings, read_settings, validated
from fkd.experiment.training import Training

EXPERIMENTS_FOLDER = Path("experiments")

Magnitude = Annotated[float, Field(gt=0, le=1)]

# A file may name another one that it changes.
_BASE = "base"


class Specialist(Settings):
    """A subset of the keypoints and the rows that train it.

    keypoints: a subset's name, or a list of points. rows: `labelled` takes the rows that have all points of
    the subset, `any` those that have at least one of them, `complete` those that have all points of the
    schema. validation_fold: which part of the faces validates; specialists of other folds may predict the
    same points, and are averaged.
    """

    keypoints: str | tuple[str, ...]
    rows: Literal["labelled", "any", "complete"] = "labelled"
    validation_fold: int = Field(0, ge=0)
    batch_size: int = Field(128, ge=1)
    members: int = Field(ge=1)


class Variant(Settings):
    """What a member does otherwise than the experiment says.

    augmentation_magnitude: factor on the ranges of the augmentation. map_divergence: in place of that of the
    training.
    """

    augmentation_magnitude: Magnitude = 1.0
    map_divergence: float | None = Field(None, ge=0)


class Selection(Settings):
    """Which members make the prediction; `top`, `within_percent` and `indices` belong to their policies."""

    policy: Literal["all", "best", "top", "within", "greedy", "indices"] = "greedy"
    top: int = Field(5, ge=1)
    within_percent: float = Field(5.0, ge=0)
    indices: dict[str, tuple[int, ...]] = Field(default_factory=dict)


class Prediction(Settings):
    """How the chosen members predict; may be changed at any time.

    detector: `haar` predicts inside the face that OpenCV finds, where it finds exactly one.
    peaks: how the maps of networks that draw them are read; validation during training reads `soft_argmax`.
    mirrored: every face is predicted as it is and mirrored, and the two are averaged.
    views: so many views of a face are averaged: as it is, and turned, scaled and moved a little.
    label_offsets: a submission adds what the labels of validation faces with as many labelled points as are
    asked for are off by on average: sources label by different conventions, and other points.
    """

    detector: Literal["none", "haar"] = "none"
    peaks: Literal["soft_argmax", "argmax"] = "soft_argmax"
    mirrored: bool = False
    views: int = Field(1, ge=1)
    label_offsets: bool = False


class Experiment(Settings):
    """Everything that decides a result.

    keypoint_schema: a schema's name, or a list of points such as the columns of a CSV file have.
    variants: members take these in turn: those that are trained alike err alike, and gain less by being
    averaged.
    dropped_labels: a CSV with the columns row and keypoint, such as a run's far_labels.csv; what it names
    trains nobody. It is read once, when a run begins.
    teacher: another experiment, trained on the same data; what it predicts of the training faces is learned
    in place of their labels.
    """

    name: str
    seed: int = Field(0, ge=0)
    keypoint_schema: str | tuple[str, ...] = "kaggle15"
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    dropped_labels: str | None = None
    teacher: str | None = None
    network: Network
    training: Training = Training()
    augmentation: Augmentation = Augmentation()
    variants: tuple[Variant, ...] = Field((Variant(),), min_length=1)
    specialists: dict[str, Specialist] = Field(min_length=1)
    selection: Selection = Selection()
    prediction: Prediction = Prediction()
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _specialists_share_all_points_or_none(self) -> "Experiment":
        schema, known = self.schema_points, list[set[int]]()
        for name, specialist in self.specialists.items():
            try:
                points = set(schema.indices(specialist.keypoints).tolist())
            except KeyError as error:
                raise ValueError(f"specialists.{name}.keypoints: {error.args[0]}") from error
            for others in known:
                if points != others and (shared := points & others):
                    point = schema.names[min(shared)]
                    raise ValueError(
                        f"specialists.{name} predicts {point}, which one with other points predicts too"
                    )
            known.append(points)
        return self

    @model_validator(mode="after")
    def _folds_exist(self) -> "Experiment":
        folds = int(1 / self.validation_fraction + 1e-9)
        for name, specialist in self.specialists.items():
            if specialist.validation_fold >= folds:
                raise ValueError(
                    f"specialists.{name}.validation_fold: expected at most {folds - 1}, as a "
                    f"validation_fraction of {self.validation_fraction:g} makes {folds} folds, received "
                    f"{specialist.validation_fold}"
                )
        return self

    @model_validator(mode="after")
    def _mirrored_points_are_predicted(self) -> "Experiment":
        for name in self.specialists:
            if self.prediction.mirrored and self.twin_positions(name) is None:
                raise ValueError(
                    f"prediction.mirrored: expected every point of {name} with its left/right twin, received "
                    "one alone; set it to false"
                )
        return self

    @model_validator(mode="after")
    def _loss_fits_the_output(self) -> "Experiment":
        draws_maps = isinstance(self.network, MapNetwork)
        of_maps = self.training.map_divergence or any(variant.map_divergence for variant in self.variants)
        if not draws_maps and (self.training.loss == "kl_divergence" or of_maps):
            raise ValueError(
                "training.loss: kl_divergence and map_divergence are for networks that draw maps "
                f"(heatmap, residual); received network.kind: {self.network.kind}"
            )
        return self

    @model_validator(mode="after")
    def _members_with_shared_batches_are_alike(self) -> "Experiment":
        if self.training.shared_batches and len(self.variants) > 1:
            raise ValueError(
                f"variants: expected one with training.shared_batches, received {len(self.variants)}; "
                "members that share batches share their changes"
            )
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

    def of_member(self, index: int) -> "Experiment":
        """The experiment as the members of this number are trained: with their variant put in."""
        variant, training = self.variants[index % len(self.variants)], self.training
        if variant.map_divergence is not None:
            training = training.model_copy(update={"map_divergence": variant.map_divergence})
        augmentation = self.augmentation.times(variant.augmentation_magnitude)
        as_trained = {"training": training, "augmentation": augmentation, "variants": (Variant(),)}
        return self.model_copy(update=as_trained)

    def point_indices(self, specialist: str) -> npt.NDArray[np.intp]:
        """Indices in the schema of the points that a specialist predicts, shape (points,)."""
        return self.schema_points.indices(self.specialists[specialist].keypoints)

    def twin_positions(self, specialist: str) -> npt.NDArray[np.intp] | None:
        """Where among a specialist's points their twins stand, shape (points,); None if one is missing."""
        points = self.point_indices(specialist).tolist()
        twins = self.schema_points.twins[points].tolist()
        return np.array([points.index(twin) for twin in twins]) if set(twins) == set(points) else None

    @property
    def schema_points(self) -> Schema:
        """The points that the experiment is about; raises ValueError for a schema that cannot be."""
        if not isinstance(self.keypoint_schema, str):
            return listed_schema(self.keypoint_schema)
        if self.keypoint_schema not in SCHEMAS:
            raise ValueError(f"keypoint_schema must be one of {', '.join(SCHEMAS)}, or a list of points")
        return SCHEMAS[self.keypoint_schema]


def load_experiment(name_or_path: str, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file and apply overrides such as `specialists.four.members=4`.

    A bare name stands for `experiments/<name>.yaml`. A file that names another one as its `base` holds only
    what it changes there, null for what it does without. Raises UserError, naming the file and the setting,
    when a file is missing, is not YAML, or holds an unknown key or an impossible value.
    """
    path = experiment_file(name_or_path)
    settings = _read_settings(path, ())
    for override in overrides:
        apply_override(settings, override)
    origin = " ".join([str(path), *(f"--set {override}" for override in overrides)])
    return validate_experiment({"name": _name(path), **settings}, origin)


def experiment_file(name_or_path: str) -> Path:
    """The file that a bare name or a path stands for."""
    path = Path(name_or_path)
    return path if path.suffix == ".yaml" else EXPERIMENTS_FOLDER / f"{name_or_path}.yaml"


def validate_experiment(settings: dict[str, Any], origin: str) -> Experiment:
    """Settings as an Experiment; raises UserError, naming `origin` and the first wrong setting."""
    return validated(Experiment, settings, origin)


def apply_override(settings: dict[str, Any], override: str) -> None:
    """Put `key.of.sections=value` into nested settings; raises UserError where it is of another form."""
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


def differences(former: Experiment, current: Experiment) -> list[str]:
    """Settings in which two experiments differ, as `setting: former -> current`."""
    a, b = _flatten(former.model_dump()), _flatten(current.model_dump())
    return [
        f"{key}: {a.get(key)} -> {b.get(key)}"
        for key in sorted(a.keys() | b.keys())
        if a.get(key) != b.get(key)
    ]


def _read_settings(path: Path, derived: tuple[Path, ...]) -> dict[str, Any]:
    """A file's settings put over those of its base; `derived` are the files that led here."""
    if not path.is_file():
        raise UserError(f"{path}: no such experiment file; experiments at hand: {_experiments_at_hand()}")
    if path in derived:
        raise UserError(f"{path}: its base leads back to itself; name another base")
    settings = read_settings(path)
    base = settings.pop(_BASE, None)
    if base is None:
        return settings
    return _merged(_read_settings(path.parent / f"{base}.yaml", (*derived, path)), settings)


def _merged(base: Any, changes: Any) -> Any:
    """Changes put over a base, section by section; lists and values are replaced whole, null takes away."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    merged = base | {key: _merged(base.get(key), value) for key, value in changes.items()}
    return {key: value for key, value in merged.items() if value is not None}


def _experiments_at_hand() -> str:
    files = sorted(EXPERIMENTS_FOLDER.rglob("*.yaml"))
    marks = ("\nnetwork:", f"\n{_BASE}:")  # not every YAML file there is an experiment
    names = [
        file.relative_to(EXPERIMENTS_FOLDER).with_suffix("").as_posix()
        for file in files
        if any(mark in f"\n{file.read_text(encoding='utf-8')}" for mark in marks)
    ]
    return ", ".join(names) or "none"


def _name(path: Path) -> str:
    """`nose-tip-three` for experiments/nose-tip/three.yaml, else the file's stem."""
    inside = path.is_relative_to(EXPERIMENTS_FOLDER)
    return "-".join(path.relative_to(EXPERIMENTS_FOLDER).with_suffix("").parts) if inside else path.stem


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {
        key: value
        for name, branch in tree.items()
        for key, value in _flatten(branch, f"{prefix}.{name}" if prefix else str(name)).items()
    }
