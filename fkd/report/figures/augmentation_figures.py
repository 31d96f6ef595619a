"""What an experiment's random changes do to a face: each alone, all at once, and as in training."""

from collections.abc import Iterable, Sequence

import matplotlib.figure
import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import MAX_GREY, Schema, to_pixels
from fkd.data.faces import FaceData, Faces
from fkd.experiment.augmentation import Augmentation
from fkd.experiment.experiment import Experiment
from fkd.experiment.pixel_changes import transform
from fkd.experiment.settings import Named
from fkd.report.figures.face_sheet import SIDES, face_sheet, side_colours
from fkd.report.page import Figure, Section
from fkd.training.augment import Batches

_COLUMNS = 4
_EPOCHS = 16
_UNITS = ("px", "degrees")

Drawn = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]  # images, keypoints in pixels


def augmentation_section(faces: FaceData, experiment: Experiment) -> Section:
    """One face under the changes that an experiment uses; no figures where it uses none."""
    title = "Augmentation"
    if not used_changes(experiment.augmentation) and not experiment.augmentation.albumentations:
        return Section(title, f"The experiment {experiment.name} trains on the faces as they are.")
    row = best_labelled_row(faces.training)
    face, schema = faces.training.take(np.array([row])), experiment.schema_points
    text = f"Training face {row:,} under the random changes of the experiment {experiment.name}."
    if len(experiment.variants) > 1:
        turns = ", ".join(f"{variant.augmentation_magnitude:g}" for variant in experiment.variants)
        text += f" Members take these ranges times {turns} in turn"
        text += ", those of albumentations as they are." if experiment.augmentation.albumentations else "."
    else:
        experiment = experiment.of_member(experiment.beginning[0], 0)
    figures = [_each_alone(face, experiment, schema), _as_trained(face, experiment, schema)]
    return Section(title, text, figures)


def used_changes(augmentation: Augmentation) -> list[str]:
    """Names of fkd's own changes that happen at all, in the settings' order."""
    own = [name for name in type(augmentation).model_fields if name != "albumentations"]
    return [name for name in own if getattr(augmentation, name).probability > 0]


def only(augmentation: Augmentation, *names: str, named: Sequence[Named] = ()) -> Augmentation:
    """These of fkd's own changes and those named of albumentations always, and no others."""
    own = {name: getattr(augmentation, name).model_copy(update={"probability": 1.0}) for name in names}
    certain = tuple({name: arguments | {"p": 1.0}} for change in named for name, arguments in change.items())
    return Augmentation(**own, albumentations=certain)


def best_labelled_row(faces: Faces) -> int:
    """The first face with all points labelled, or else the first of those that have most."""
    return int(np.isfinite(faces.keypoints).all(axis=2).sum(axis=1).argmax())


def draw_changes(face: Faces, augmentation: Augmentation, schema: Schema, seed: int, count: int) -> Drawn:
    """One face changed anew `count` times as in training: images in [0, 255] and keypoints in pixels.

    face: one face with the points of the schema.
    """
    points = np.arange(len(schema.names))
    batches = Batches(face.images, face.keypoints, augmentation, schema, points, 1, (seed,))
    drawn = [batches(epoch, 0) for epoch in range(count)]
    images = np.concatenate([images for images, _ in drawn])[..., 0] * MAX_GREY
    targets = np.concatenate([targets for _, targets in drawn])
    return images, to_pixels(targets.reshape(count, -1, 2))


def _each_alone(face: Faces, experiment: Experiment, schema: Schema) -> Figure:
    augmentation, used = experiment.augmentation, used_changes(experiment.augmentation)
    named = augmentation.albumentations
    kinds = [(_words(augmentation, name), only(augmentation, name)) for name in used]
    kinds += [(_words_of_named(change), only(augmentation, named=[change])) for change in named]
    several = len(kinds) > 1
    if several:
        kinds.append(("all at once", only(augmentation, *used, named=named)))

    def draw() -> matplotlib.figure.Figure:
        titles = [title for words, _ in kinds for title in (words, *[""] * (_COLUMNS - 1))]
        rows = [_before_and_after(face, kind, schema, experiment.seed) for _, kind in kinds]
        images, points_px = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        return face_sheet(images, points_px, side_colours(schema), _COLUMNS, titles)

    changes = "each change and of all at once" if several else "the one change"
    caption = (
        f"The face as it is, then {_COLUMNS - 1} draws of {changes}; the points keep to the face: {SIDES}."
    )
    return Figure("changes-alone", "Each change alone", caption, draw)


def _before_and_after(face: Faces, augmentation: Augmentation, schema: Schema, seed: int) -> Drawn:
    images, points_px = draw_changes(face, augmentation, schema, seed, _COLUMNS - 1)
    return np.concatenate([face.images, images]), np.concatenate([face.keypoints, points_px])


def _as_trained(face: Faces, experiment: Experiment, schema: Schema) -> Figure:
    def draw() -> matplotlib.figure.Figure:
        drawn = draw_changes(face, experiment.augmentation, schema, experiment.seed, _EPOCHS)
        return face_sheet(*drawn, side_colours(schema), _COLUMNS)

    caption = (
        f"What a network is shown of this face in {_EPOCHS} epochs, each change with its own probability."
    )
    return Figure("changes-in-training", "As in training", caption, draw)


def _words(augmentation: Augmentation, name: str) -> str:
    """`elastic: amplitude 1 px, smoothness 8 px; in 50 % of the images`."""
    settings = getattr(augmentation, name).model_dump()
    probability = settings.pop("probability")
    return _row(name.replace("_", " "), map(_quantity, settings, settings.values()), probability)


def _words_of_named(change: Named) -> str:
    """`RandomGamma: gamma_limit [60, 160]; in 30 % of the images`."""
    [(name, arguments)] = change.items()
    limits = (f"{key} {value}" for key, value in arguments.items() if key != "p")
    return _row(name, limits, transform(change).p)


def _row(name: str, limits: Iterable[str], probability: float) -> str:
    share = f"in {100 * probability:.0f} % of the images"
    return f"{name}: {'; '.join(filter(None, (', '.join(limits), share)))}"


def _quantity(key: str, value: float) -> str:
    *words, last = key.split("_")
    if last in _UNITS:
        return f"{' '.join(words)} {value:g} {last}"
    return f"{' '.join([*words, last])} {value:g}"
