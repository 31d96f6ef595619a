"""The whole page of a run: its data, its random changes, its training and its results."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fkd.core.files import atomic_write_bytes
from fkd.core.keypoints import schema_of
from fkd.data.faces import FaceData
from fkd.ensemble.validation import Validation
from fkd.experiment.store import Run
from fkd.report.figures.augmentation_figures import augmentation_section
from fkd.report.figures.data_figures import data_section
from fkd.report.page import page_html
from fkd.report.run_record import read_run
from fkd.report.run_sections import report_sections
from fkd.report.summary import summary


def write_report(
    run: Run,
    faces: FaceData,
    predictions_px: npt.NDArray[np.floating] | None = None,
    validations: Mapping[str, Validation] | None = None,
) -> None:
    """Write report.html into a run.

    predictions_px: of the test images, shape (images, points, 2). validations: as `read_run` takes them.
    Raises UserError as `read_run` does.
    """
    record = read_run(run, faces, validations)
    sections = [
        data_section(faces, schema_of(faces.point_names)),
        augmentation_section(faces, record.experiment),
        *report_sections(record, faces, predictions_px),
    ]
    page = page_html(run.name, sections, summary(record, faces))
    atomic_write_bytes(run.report, page.encode())
