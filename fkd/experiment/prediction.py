"""Which members predict, and how."""

from typing import Literal

from pydantic import Field

from fkd.experiment.settings import Settings


class Selection(Settings):
    """Which members make the prediction; `top`, `within_percent` and `indices` belong to their policies."""

    policy: Literal["all", "best", "top", "within", "greedy", "stack", "indices"] = "greedy"
    top: int = Field(5, ge=1, le=1000)
    within_percent: float = Field(5.0, ge=0, le=1_000_000)
    indices: dict[str, tuple[int, ...]] = Field(default_factory=dict)


class Prediction(Settings):
    """How the chosen members predict; may be changed at any time.

    detector: `haar` predicts inside the face that OpenCV finds, where it finds exactly one.
    peaks: how the maps of networks that draw them are read; validation during training reads `soft_argmax`.
    mirrored: every face is predicted as it is and mirrored, and the two are averaged.
    views: the number of views of a face that are averaged: as it is, and turned, scaled and moved a little.
    coverage: every point gets a radius that holds the truth in this share of cases.
    label_offsets: a submission adds the mean offset of the labels of those validation faces that have as many
    labelled points as it is asked for: sources differ in their conventions and in the points that they label.
    With `linear` the offset is a linear function of where the points are predicted.
    """

    detector: Literal["none", "haar"] = "none"
    peaks: Literal["soft_argmax", "argmax"] = "soft_argmax"
    mirrored: bool = False
    views: int = Field(1, ge=1, le=1000)
    coverage: float = Field(0.9, ge=0.5, le=0.99)
    label_offsets: bool | Literal["linear"] = False
