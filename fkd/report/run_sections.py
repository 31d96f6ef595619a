"""What came of a run, section by section; `run_page` puts the data and the augmentation before them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from fkd.data.faces import FaceData
from fkd.report.figures.error_figures import error_section
from fkd.report.figures.face_grid import draw_faces
from fkd.report.figures.filter_figures import filter_section
from fkd.report.figures.selection_figures import selection_section
from fkd.report.figures.training_figures import training_section
from fkd.report.page import Figure, Section
from fkd.report.run_record import RunRecord

_FACES = 18


def report_sections(
    record: RunRecord, faces: FaceData, predictions_px: npt.NDArray[np.floating] | None = None
) -> list[Section]:
    """Training, selection, errors, filters, predictions and provenance; each says what is missing.

    faces: the data that the run was trained on. predictions_px: of its test images, shape (images, points,
    2) in schema order; without them the submission's values are shown.
    """
    if predictions_px is None:
        predictions_px = record.submitted_px
    return [
        training_section(record),
        selection_section(record),
        error_section(record, faces),
        filter_section(record),
        prediction_section(faces, predictions_px),
        provenance_section(record),
    ]


def prediction_section(faces: FaceData, predictions_px: npt.NDArray[np.floating] | None) -> Section:
    """Test faces with their predicted points; predictions_px: shape (images, points, 2) or None."""
    if predictions_px is None or not len(predictions_px):
        return Section("Predictions", "There are none yet; `fkd submit` makes them.")
    shown = slice(_FACES)
    figure = Figure(
        "predictions",
        "Test faces with predicted points",
        "The first test faces, out-of-sample: none of them trained a network.",
        partial(
            draw_faces,
            faces.test.images[shown],
            {"prediction": predictions_px[shown]},
            [f"{image}" for image in faces.test.ids[shown].tolist()],
        ),
    )
    text = f"{min(_FACES, len(predictions_px))} of {len(predictions_px):,} test faces, by ImageId."
    return Section("Predictions", text, (figure,))


def provenance_section(record: RunRecord) -> Section:
    """What made the run: command, versions, data and settings."""
    experiment = record.run.experiment.as_posix()
    facts = [
        ("command", f"fkd train {experiment} --data {record.provenance['data']}"),
        *((name.replace("_", " "), value) for name, value in record.provenance.items()),
        *_settings(record.experiment.model_dump(mode="json")),
    ]
    text = "The command trains the same run again; code and packages are those that it began with."
    return Section("Provenance", text, (), facts)


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """One fact a section of the experiment, as YAML."""
    return [
        (
            name.replace("_", " "),
            yaml.safe_dump(value, sort_keys=False, default_flow_style=None).removesuffix("...\n").strip(),
        )
        for name, value in settings.items()
    ]
