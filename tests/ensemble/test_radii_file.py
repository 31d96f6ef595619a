import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fkd.ensemble.radii import Curve
from fkd.ensemble.radii_file import EnsembleRadii, read_radii, write_radii
from fkd.experiment.experiment import Experiment
from fkd.experiment.records import DamagedRecordError
from fkd.experiment.store import Run

CHOSEN = {"four": [1, 0], "eleven": [0]}


@pytest.fixture
def run(tmp_path: Path, experiment: Experiment) -> Run:
    """Radii of the first and the third of four points."""
    run, curve = Run(tmp_path), Curve((1.0, 3.0), (2.0, 4.0), 2.5)
    curves = {"four": [curve, None, curve, None], "eleven": [None] * 11}
    validations = {
        name: SimpleNamespace(
            experiment=experiment,
            points=experiment.point_indices(name),
            radius_curves=lambda members, name=name: curves[name],
        )
        for name in CHOSEN
    }
    reports = [SimpleNamespace(specialist=name, chosen=members) for name, members in CHOSEN.items()]
    write_radii(run, validations, reports)
    return run


def test_radii_come_back_by_point_of_the_schema(run: Run, experiment: Experiment):
    radii = read_radii(run, experiment, {"four": [0, 1], "eleven": [0]})
    assert radii is not None
    assert radii.coverage == 0.9
    four = experiment.point_indices("four")
    found = radii.px(np.full((1, 15), 2.0))[0]
    assert found[four[[0, 2]]].tolist() == [3, 3]
    assert np.isnan(found).sum() == 13


def test_a_face_is_doubtful_where_the_spreads_of_two_points_of_three_are_large():
    curve = Curve((1.0, 3.0), (2.0, 4.0), 2.5)
    radii = EnsembleRadii(0.9, [[curve, curve, None, curve]])
    spreads_px = np.array([[9.0, 2.6, 0.0, 2.5], [9.0, 2.5, 9.0, 2.5]])
    assert radii.are_large(spreads_px).tolist() == [True, False]
    assert EnsembleRadii(0.9, [[None] * 4]).are_large(spreads_px).tolist() == [False, False]


def test_radii_of_other_members_are_none(run: Run, experiment: Experiment):
    assert read_radii(run, experiment, {"four": [0], "eleven": [0]}) is None
    run.radii.unlink()
    assert read_radii(run, experiment, CHOSEN) is None


@pytest.mark.parametrize(
    ("key", "values", "problem"),
    [
        ("radii_px", [2.0], "there are not as many radii as spreads"),
        ("radii_px", [4.0, 2.0], "a curve falls"),
        ("spreads_px", [1.0, float("nan")], "finite number"),
        ("large_spread_px", -1.0, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_is_one_line(run: Run, experiment: Experiment, key: str, values: object, problem: str):
    record = json.loads(run.radii.read_text())
    del record["version"], record["checksum"]
    next(iter(record["specialists"]["four"]["points"].values()))[key] = values
    run.radii.write_text(json.dumps(record))
    with pytest.raises(DamagedRecordError, match=f"{problem}; run fkd select again"):
        read_radii(run, experiment, CHOSEN)
