"""An experiment file as a validated object.

One YAML file describes everything that decides a result: points, network, training, augmentation, members
and their selection. Unknown keys are refused, so that a misspelt setting never passes silently.
"""

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from fkd.core.keypoints import SCHEMAS, Schema, listed_schema
from fkd.experiment.augmentation import Augmentation
from fkd.experiment.callbacks import Callbacks
from fkd.experiment.network import MOST_PARAMETERS, Network
from fkd.experiment.prediction import Prediction, Selection
from fkd.experiment.resources import Resources
from fkd.experiment.settings import Name, Settings
from fkd.experiment.specialists import MemberId, Specialist, SpecialistName, Variant
from fkd.experiment.training import Training


class Experiment(Settings):
    """Everything that decides a result.

    name: begins the name of the run's folder: no slashes, and no dot or dash in front; a specialist's too.
    keypoint_schema: a schema's name, or a list of points such as the columns of a CSV file have.
    network: of at most 250,000,000 parameters.
    callbacks: of Keras or by the import path of a class, such as `{TerminateOnNaN: {}}`. They hear of epochs.
    variants: members take these in turn: those that are trained alike err alike, and gain less by being
    averaged.
    dropped_labels: a CSV with the columns row and keypoint, such as a run's far_labels.csv; no member
    learns from the labels that it names. It is read once, when a run begins.
    teacher: another experiment, trained on the same data; what it predicts of the training faces is learned
    in place of their labels.
    teacher_weight: its share in what is learned where there is a label. With 0 the labels stay as they are,
    and the teacher's predictions take the places of missing ones alone.
    distil_test_images: what the teacher predicts of the test images is learned, too.
    """

    name: Name
    seed: int = Field(0, ge=0, lt=2**64)
    keypoint_schema: str | tuple[str, ...] = Field("kaggle15", max_length=1000)
    validation_fraction: float = Field(0.2, ge=0.0001, lt=1)
    dropped_labels: str | None = None
    teacher: Name | None = None
    teacher_weight: float = Field(1.0, ge=0, le=1)
    distil_test_images: bool = False
    network: Network
    training: Training = Training()
    callbacks: Callbacks = ()
    augmentation: Augmentation = Augmentation()
    variants: tuple[Variant, ...] = Field((Variant(),), min_length=1, max_length=1000)
    specialists: dict[SpecialistName, Specialist] = Field(min_length=1, max_length=100)
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
            if not points:
                raise ValueError(f"specialists.{name}.keypoints: expected at least one point, received none")
            for others in known:
                if points != others and (shared := points & others):
                    point = schema.names[min(shared)]
                    raise ValueError(
                        f"specialists.{name} predicts {point}, which one with other points predicts, too"
                    )
            known.append(points)
        return self

    @model_validator(mode="after")
    def _a_teacher_labels_the_test_images(self) -> "Experiment":
        if self.distil_test_images and self.teacher is None:
            raise ValueError(
                "distil_test_images: expected a teacher that labels them, received none; name one or set it "
                "to false"
            )
        return self

    @model_validator(mode="after")
    def _network_fits_into_memory(self) -> "Experiment":
        points = max(len(self.point_indices(name)) for name in self.specialists)
        parameters = self.network.parameters(points if self.network.draws_maps else 2 * points)
        if parameters > MOST_PARAMETERS:
            raise ValueError(
                f"network: expected at most {MOST_PARAMETERS:,} parameters, received about {parameters:,}; "
                "use fewer filters or units, smaller kernels or more pooling"
            )
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
        of_maps = self.training.map_divergence or any(variant.map_divergence for variant in self.variants)
        if not self.network.draws_maps and (self.training.loss == "kl_divergence" or of_maps):
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
    def members(self) -> list[MemberId]:
        """All members, in rounds, so that the first few are an ensemble already."""
        rounds = range(max(settings.members for settings in self.specialists.values()))
        return [
            MemberId(specialist, index)
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


def differences(former: Experiment, current: Experiment) -> list[str]:
    """Settings in which two experiments differ, as `setting: former -> current`."""
    a, b = _flatten(former.model_dump()), _flatten(current.model_dump())
    return [
        f"{key}: {a.get(key)} -> {b.get(key)}"
        for key in sorted(a.keys() | b.keys())
        if a.get(key) != b.get(key)
    ]


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {
        key: value
        for name, branch in tree.items()
        for key, value in _flatten(branch, f"{prefix}.{name}" if prefix else str(name)).items()
    }
