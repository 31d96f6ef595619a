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
from fkd.experiment.augmentation import Augmentation, Flip
from fkd.experiment.callbacks import Callbacks
from fkd.experiment.network import MOST_PARAMETERS, Network
from fkd.experiment.prediction import Prediction, Selection
from fkd.experiment.resources import Resources
from fkd.experiment.settings import Name, Settings
from fkd.experiment.specialists import Continuation, MemberId, Specialist, SpecialistName, Variant
from fkd.experiment.training import CosineDecay, Training


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
    reviewed_labels: a CSV of `fkd review`; no member learns from a label that was dropped, and moved ones are
    learned where they were moved to. It belongs to the run: with other decisions it is another one.
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
    reviewed_labels: str | None = None
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

    @model_validator(mode="before")
    @classmethod
    def _continue_as_they_began(cls, settings: Any) -> Any:
        """Fill in what a specialist that continues another one does not say itself."""
        named = settings.get("specialists") if isinstance(settings, dict) else None
        if not isinstance(named, dict):
            return settings
        filled = {name: _as_continued(name, named) for name in named}
        return settings | {"specialists": filled}

    @model_validator(mode="after")
    def _sources_share_no_faces(self) -> "Experiment":
        continued = dict[str, list[Continuation]]()
        for name, one in self.specialists.items():
            if not one.continues:
                continue
            begun = self.specialists[one.continues.specialist]
            if one != begun.model_copy(update={"continues": one.continues}):
                raise ValueError(
                    f"specialists.{name}: expected keypoints, rows, batch_size, members and validation_fold "
                    f"of {one.continues.specialist}, which it continues, received others; leave them out"
                )
            continued.setdefault(one.continues.specialist, []).append(one.continues)
        for name, sources in continued.items():
            points = np.arange(1, len(self.schema_points.names) + 1)
            if (np.sum([source.takes(points) for source in sources], axis=0) != 1).any():
                raise ValueError(
                    f"specialists: expected those that continue {name} to share out the faces with 1 to "
                    f"{len(points)} labels, received {', '.join(str(source.labels) for source in sources)}"
                )
        if continued and self.teacher:
            raise ValueError("teacher: expected no specialist that continues another, received one")
        return self

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
        """All members, in rounds, so that the first few are an ensemble already; those that continue last."""
        rounds = range(max(settings.members for settings in self.specialists.values()))
        return [
            MemberId(specialist, index)
            for names in (self.beginning, self.continuing)
            for index in rounds
            for specialist in names
            if index < self.specialists[specialist].members
        ]

    @property
    def beginning(self) -> list[str]:
        """The specialists that begin anew; they predict faces of which no source is known."""
        return [name for name, one in self.specialists.items() if not one.continues]

    @property
    def continuing(self) -> list[str]:
        """The specialists that continue another one, each on the faces of a source."""
        return [name for name, one in self.specialists.items() if one.continues]

    @property
    def ending(self) -> list[str]:
        """The specialists that no other continues; they predict faces of a known source."""
        continued = {one.continues.specialist for one in self.specialists.values() if one.continues}
        return [name for name in self.specialists if name not in continued]

    def by_source(self, label_counts: npt.NDArray[np.int64]) -> list[tuple[npt.NDArray[np.intp], list[str]]]:
        """The faces of each source by their positions, and the specialists that predict them.

        label_counts: how many points of each face are labelled or asked for, shape (faces,).
        """
        positions = dict[tuple[str, ...], list[int]]()
        for face, count in enumerate(label_counts):
            theirs = [
                name
                for name in self.ending
                if not (source := self.specialists[name].continues) or source.takes(count)
            ]
            positions.setdefault(tuple(theirs or self.beginning), []).append(face)
        return [(np.array(faces), list(names)) for names, faces in positions.items()]

    def continued(self, member: MemberId) -> MemberId | None:
        """The member whose weights this one begins with; None for one that begins anew."""
        continues = self.specialists[member.specialist].continues
        return MemberId(continues.specialist, member.index) if continues else None

    def member_seed(self, specialist: str, index: int) -> tuple[int, int, int]:
        """Seed of a member: a function of the experiment's seed, the specialist's name and the index."""
        return self.seed, zlib.crc32(specialist.encode()), index

    def of_member(self, specialist: str, index: int) -> "Experiment":
        """The experiment as a member is trained: with its variant, and how it continues another, put in."""
        variant, training = self.variants[index % len(self.variants)], self.of_specialist(specialist)
        if variant.map_divergence is not None:
            training = training.model_copy(update={"map_divergence": variant.map_divergence})
        augmentation = self.augmentation.times(variant.augmentation_magnitude)
        continues = self.specialists[specialist].continues
        if continues and not continues.flip:
            augmentation = augmentation.model_copy(update={"flip": Flip()})
        as_trained = {"training": training, "augmentation": augmentation, "variants": (Variant(),)}
        return self.model_copy(update=as_trained)

    def of_specialist(self, specialist: str) -> Training:
        """The training of a specialist's members, variants apart."""
        continues, training = self.specialists[specialist].continues, self.training
        if not continues:
            return training
        schedule, optimizer = training.schedule, training.optimizer
        if isinstance(schedule, CosineDecay):
            schedule = CosineDecay(name="cosine_decay")  # to the end, without warmup
        optimizer = optimizer.model_copy(update={"learning_rate": continues.learning_rate})
        changes = {"max_epochs": continues.epochs, "weight_averaging": continues.weight_averaging}
        return training.model_copy(update=changes | {"schedule": schedule, "optimizer": optimizer})

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


def _as_continued(name: str, others: dict[str, Any]) -> Any:
    """A specialist's settings over those of the one that it continues, if it does."""
    own = others[name]
    continues = own.get("continues") if isinstance(own, dict) else None
    if not isinstance(continues, dict) or not isinstance(continues.get("specialist"), str):
        return own
    begun = others.get(continues["specialist"])
    if not isinstance(begun, dict) or begun.get("continues"):
        raise ValueError(
            f"specialists.{name}.continues.specialist: expected one that begins anew, received "
            f"{continues['specialist']}"
        )
    return begun | own


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
