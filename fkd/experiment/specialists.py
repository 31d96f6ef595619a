"""Who learns which points from which rows, and the members that do."""

from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from fkd.experiment.settings import Name, Settings

# The files that stand beside the specialists' folders in a run.
_FILES = (".yaml", ".json", ".csv", ".png", ".html")


def _is_no_file(name: str) -> str:
    if name.endswith(_FILES):
        raise ValueError(f"expected a name that does not end like a file of a run ({', '.join(_FILES)})")
    return name


SpecialistName = Annotated[Name, AfterValidator(_is_no_file)]
Magnitude = Annotated[float, Field(gt=0, le=1)]


class Continuation(Settings):
    """How members go on from those of another specialist, each on the faces of one source.

    specialist: the one whose finished members they begin as, number by number. labels: the least and the most
    labelled points of the source's faces; a submission asks for as many of a test image. epochs,
    learning_rate, weight_averaging: in place of those of the training, and without its warmup. flip: false
    keeps an offset to one side, which no network can learn from flipped faces.
    """

    specialist: Name
    labels: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(le=1000)]]
    epochs: int = Field(ge=1, le=1_000_000)
    learning_rate: float = Field(gt=0)
    weight_averaging: float = Field(0.0, ge=0, lt=1)
    flip: bool = True

    def takes(self, label_counts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether faces with so many labelled points are the source's, shape (faces,)."""
        least, most = self.labels
        return (least <= label_counts) & (label_counts <= most)


class Specialist(Settings):
    """A subset of the keypoints and the rows that train it.

    keypoints: a subset's name, or a list of points. rows: `labelled` takes the rows that have all points of
    the subset, `any` those that have at least one of them, `complete` those that have all points of the
    schema. validation_fold: which part of the faces validates; specialists of other folds may predict the
    same points, and are averaged. continues: the members go on from those of another specialist, on a part
    of its faces; what is not set here is as there.
    """

    keypoints: str | tuple[str, ...]
    rows: Literal["labelled", "any", "complete"] = "labelled"
    validation_fold: int = Field(0, ge=0)
    batch_size: int = Field(128, ge=1, le=1_000_000)
    members: int = Field(ge=1, le=1000)
    continues: Continuation | None = None


class MemberId(NamedTuple):
    """Which member of an experiment: its specialist and its number among the specialist's, from 0 on."""

    specialist: str
    index: int  # type: ignore[assignment]  # in place of tuple.index, which nobody needs here

    @property
    def name(self) -> str:
        """`<specialist>/<index>`, such as `four/07`, in the store and in all messages."""
        return f"{self.specialist}/{self.index:02d}"


class Variant(Settings):
    """What a member does differently from the rest of the experiment.

    augmentation_magnitude: factor on the ranges of the augmentation. map_divergence: in place of that of the
    training.
    """

    augmentation_magnitude: Magnitude = 1.0
    map_divergence: float | None = Field(None, ge=0, le=1_000_000)
