"""radii.json of a run: how far off the points of its chosen members may be, by their spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from fkd.core.files import is_there
from fkd.ensemble.radii import Curve, radii_px
from fkd.ensemble.selection import SelectionReport
from fkd.ensemble.validation import Validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.records import Number, SelectRecord, read_record, write_record
from fkd.experiment.store import Run

# Of the points of a face: none of 1,033 validation faces and 82% of 100 random squares of photos have so many
# large spreads (two members, 8 epochs on wild15).
_MOST = 2 / 3

Pixels = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Curves = Sequence[Curve | None]


class _CurveRecord(SelectRecord):
    spreads_px: list[Pixels] = Field(min_length=1, max_length=100)
    radii_px: list[Pixels]
    large_spread_px: Pixels

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if len(self.spreads_px) != len(self.radii_px):
            raise ValueError("there are not as many radii as spreads")
        for values in (self.spreads_px, self.radii_px):
            if any(after < before for before, after in pairwise(values)):
                raise ValueError("a curve falls")
        return self


class _SpecialistRecord(SelectRecord):
    """chosen: the members whose spread it is. points: by name, those that have enough labels."""

    chosen: list[Number] = Field(min_length=1)
    points: dict[str, _CurveRecord]


class _RadiiRecord(SelectRecord):
    coverage: float = Field(gt=0, lt=1)
    specialists: dict[str, _SpecialistRecord]


@dataclass(frozen=True)
class EnsembleRadii:
    """The radii of an ensemble's points; curves: of every specialist's points, in schema order."""

    coverage: float
    curves: Sequence[Curves]

    def px(self, spreads_px: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """The radii for the members' spreads, both of shape (faces, points); NaN where there is none.

        Of specialists of the same point, the largest counts.
        """
        return np.fmax.reduce([radii_px(curves, spreads_px) for curves in self.curves])

    def are_large(self, spreads_px: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Whether the spreads of most points are as large as few validation faces have, shape (faces,)."""
        large = np.array(
            [
                [np.nan if curve is None else curve.large_spread_px for curve in curves]
                for curves in self.curves
            ]
        )
        limits_px = np.fmax.reduce(large)
        known = np.isfinite(limits_px)
        if not known.any():
            return np.full(len(spreads_px), False)
        return (spreads_px[:, known] > limits_px[known]).mean(axis=1) >= _MOST


def write_radii(run: Run, validations: Mapping[str, Validation], reports: Sequence[SelectionReport]) -> None:
    """Measure and keep the radii of all points of the chosen members; validations: by specialist."""
    experiment = next(iter(validations.values())).experiment
    names = experiment.schema_points.names
    specialists = {}
    for report in reports:
        validation = validations[report.specialist]
        curves = zip(validation.points.tolist(), validation.radius_curves(report.chosen), strict=True)
        points = {names[point]: _to_record(curve) for point, curve in curves if curve}
        specialists[report.specialist] = _SpecialistRecord(chosen=list(report.chosen), points=points)
    coverage = experiment.prediction.coverage
    write_record(run.radii, _RadiiRecord(coverage=coverage, specialists=specialists))


def read_radii(run: Run, experiment: Experiment, chosen: Mapping[str, Sequence[int]]) -> EnsembleRadii | None:
    """The radii that a run keeps for these members; None without, or where they are of others.

    Raises DamagedRecordError for a file that `write_radii` has not written.
    """
    if not is_there(run.radii):
        return None
    record = read_record(run.radii, _RadiiRecord)
    if {name: sorted(members) for name, members in chosen.items()} != {
        name: sorted(one.chosen) for name, one in record.specialists.items()
    }:
        return None
    names = experiment.schema_points.names
    return EnsembleRadii(
        record.coverage,
        [
            [_from_record(one.points[name]) if name in one.points else None for name in names]
            for one in record.specialists.values()
        ],
    )


def _to_record(curve: Curve) -> _CurveRecord:
    return _CurveRecord(
        spreads_px=list(curve.spreads_px),
        radii_px=list(curve.radii_px),
        large_spread_px=curve.large_spread_px,
    )


def _from_record(record: _CurveRecord) -> Curve:
    return Curve(tuple(record.spreads_px), tuple(record.radii_px), record.large_spread_px)
