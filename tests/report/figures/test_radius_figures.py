from types import SimpleNamespace

import numpy as np
import pytest
from small_run import axes_of

from fkd.ensemble.validation import Validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Prediction
from fkd.report.figures.radius_figures import radius_figures
from fkd.report.page import Section


@pytest.fixture
def validation(experiment: Experiment) -> Validation:
    """Two points of 400 faces of two sources; members differ by how far they are off."""
    rng = np.random.default_rng(0)
    hardness = np.exp(rng.normal(0, 0.5, (400, 2, 1)))
    truth = np.zeros((400, 2, 2), np.float32)
    predictions = (rng.normal(0, 1, (3, 400, 2, 2)) * hardness).astype(np.float32)
    experiment = experiment.model_copy(update={"prediction": Prediction(coverage=0.8)})
    split = SimpleNamespace(validation_groups=np.arange(400))
    counts = np.repeat([4, 15], 200)
    return Validation(experiment, "four", split, np.array([10, 2]), truth, counts, (0, 1, 2), (), predictions)


def test_radii_hold_what_they_promise_by_point_and_source(validation: Validation):
    names = validation.experiment.schema_points.names
    section = Section("Errors", "", radius_figures([validation], names))
    [calibration] = axes_of(section, "radius-calibration")
    for line in calibration.lines[1:4]:  # all faces and two sources, beside the line of what is promised
        np.testing.assert_allclose(line.get_ydata(), line.get_xdata(), atol=0.1)
    assert [text.get_text() for text in calibration.get_legend().texts] == [
        "four, all faces",
        "four, faces with 4 labels",
        "four, faces with 15 labels",
    ]
    shares, radii = axes_of(section, "radii-by-keypoint")
    assert [text.get_text() for text in shares.get_yticklabels()] == [
        names[point].replace("_", " ") for point in (2, 10)
    ]
    held = np.concatenate([marks.get_offsets()[:, 0] for marks in shares.collections])
    np.testing.assert_allclose(held, 0.8, atol=0.1)
    assert radii.get_xlim()[0] == 0
    assert "of 800 labels in" in section.figures[0].caption


def test_too_few_labels_have_no_figure(validation: Validation):
    few = Validation(
        validation.experiment,
        "four",
        SimpleNamespace(validation_groups=np.arange(9)),
        validation.points,
        validation.truth_px[:9],
        validation.label_counts[:9],
        validation.members,
        (),
        validation.augmented_px[:, :9],
    )
    assert radius_figures([few], validation.experiment.schema_points.names) == []
