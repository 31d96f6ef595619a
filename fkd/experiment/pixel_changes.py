"""albumentations' changes of pixels, by their names: which are accepted, and what they make of images.

Those that move points are not: albumentations' points are up to a pixel off where fkd's are within 0.03 px.
"""

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, ValidationError

from fkd.core.errors import first_problem, one_line
from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.experiment.settings import Named, name_of

if TYPE_CHECKING:
    from albumentations import BasicTransform

_OWN_CHANGES = "flip, rotation, scaling, shift, elastic or perspective"
_SEED = 0


def transform(change: Named) -> "BasicTransform":
    """albumentations' object; raises ValueError, naming it, if there is none or its arguments are wrong."""
    name = name_of(change)
    # On import it asks PyPI for a newer release unless told not to.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations
    from albumentations.augmentations.dropout.transforms import BaseDropout

    kind = getattr(albumentations, name, None)
    if not (isinstance(kind, type) and issubclass(kind, albumentations.BasicTransform)):
        raise ValueError(f"{name}: albumentations {albumentations.__version__} has no such change")
    # The latter three leave points where they are, too, but are counted among those that may move them.
    pixels_alone = (
        albumentations.ImageOnlyTransform,
        BaseDropout,
        albumentations.PixelDropout,
        albumentations.Morphological,
    )
    if not issubclass(kind, pixels_alone):
        raise ValueError(
            f"{name} may move points, and albumentations' points are up to a pixel off; use {_OWN_CHANGES}"
        )
    try:
        return kind(**change[name], strict=True)
    except Exception as error:  # its own words, whatever kind it is
        cause = error.__cause__
        problem = first_problem(cause) if isinstance(cause, ValidationError) else one_line(error)
        raise ValueError(f"{name}: {problem}") from error


def change_pixels(
    images: npt.NDArray[np.float32], changes: Sequence[Named], rng: np.random.Generator
) -> None:
    """Apply changes to images in [0, 1] in place, in turn; shape (images, height, width)."""
    if not changes:  # and nothing is drawn
        return
    # New ones: they keep what they draw, so no thread may share one.
    transforms = [transform(change) for change in changes]
    seeds = rng.integers(2**32, size=(len(images), len(transforms))).tolist()
    for image, seeds_of_image in zip(images, seeds, strict=True):
        changed = image[..., np.newaxis]
        for change, seed in zip(transforms, seeds_of_image, strict=True):
            change.set_random_seed(seed)
            changed = change(image=changed)["image"]
        image[:] = changed[..., 0]


def _checked(change: Named) -> Named:
    """The same; raises ValueError where it makes no picture in [0, 1] of one, or not the same one twice."""
    picture = np.linspace(0, 1, IMAGE_SIZE_PX**2, dtype=np.float32).reshape(IMAGE_SIZE_PX, IMAGE_SIZE_PX, 1)
    maker, name = transform(change), next(iter(change))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = (_changed(maker, picture, name) for _ in range(2))
    if first.shape != picture.shape or first.dtype != picture.dtype or not _in_range(first):
        raise ValueError(f"{name}: its result is no grey picture in [0, 1] of the same size; leave it out")
    if not np.array_equal(first, second):
        raise ValueError(f"{name}: it is no function of a seed; leave it out")
    return change


def _changed(maker: "BasicTransform", picture: np.ndarray, name: str) -> np.ndarray:
    maker.set_random_seed(_SEED)
    try:
        return maker(image=picture.copy(), force_apply=True)["image"]
    except Exception as error:  # such as a change of colours
        raise ValueError(f"{name}: it does not change grey pictures ({one_line(error)})") from error


def _in_range(picture: np.ndarray) -> bool:
    return bool(np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1)


PixelChange = Annotated[Named, AfterValidator(_checked)]
PixelChanges = Annotated[tuple[PixelChange, ...], Field(max_length=100)]
