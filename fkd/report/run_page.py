"""The whole page of a run: its data, its random changes, its training and its results."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from fkd.core.files import atomic_write_bytes
from fkd.core.keypoints import schema_of
from fkd.data.faces import FaceData
from fkd.ensemble.validation import Validation
from fkd.experiment.store import Run
from fkd.report.figures.augmentation_figures import augmentation_section
from fkd.report.figures.data_figures import data_section
from fkd.report.page import Figure, Section, page_html
from fkd.report.run_record import RunRecord, read_run
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
    page = page_html(run.name, _sections(record, faces, predictions_px), summary(record, faces))
    atomic_write_bytes(run.report, page.encode())


class Figures(Mapping[str, Figure]):
    """The figures of a run's page by their names; nothing is drawn before it is asked for."""

    def __init__(self, figures: Iterable[Figure]) -> None:
        self._figures = {figure.name: figure for figure in figures}

    def __getitem__(self, name: str) -> Figure:
        if name not in self._figures:
            raise KeyError(f"{name}: no such figure; those there are: {', '.join(self._figures)}")
        return self._figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def __repr__(self) -> str:
        return "\n".join(f"{figure.name}: {figure.title}" for figure in self._figures.values())


def run_figures(run: Run, faces: FaceData) -> Figures:
    """The figures of report.html as objects; raises UserError as `read_run` does."""
    record = read_run(run, faces)
    return Figures(figure for section in _sections(record, faces) for figure in section.figures)


def _sections(
    record: RunRecord, faces: FaceData, predictions_px: npt.NDArray[np.floating] | None = None
) -> list[Section]:
    return [
        data_section(faces, schema_of(faces.point_names)),
        augmentation_section(faces, record.experiment),
        *report_sections(record, faces, predictions_px),
    ]
