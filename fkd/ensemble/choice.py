"""What `fkd select` makes of a run: every specialist's validation and the members that it chooses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fkd.core.errors import UserError
from fkd.core.say import Say
from fkd.data.faces import FaceData
from fkd.ensemble.selection import Estimate, SelectionReport, pooled
from fkd.ensemble.validation import Validation, read_validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run


@dataclass(frozen=True)
class Choice:
    """A run whose members are chosen; validations: by specialist, with all finished members."""

    run: Run
    experiment: Experiment
    faces: FaceData
    validations: Mapping[str, Validation]
    reports: Sequence[SelectionReport]

    @property
    def members(self) -> dict[str, Sequence[int]]:
        """The chosen members' numbers by specialist; a repeated number weighs double."""
        return {report.specialist: report.chosen for report in self.reports}

    @property
    def without_source(self) -> list[SelectionReport]:
        """Of the specialists that predict faces of which no source is known, as on photos."""
        return [report for report in self.reports if report.specialist in self.experiment.beginning]

    @property
    def by_source(self) -> list[SelectionReport]:
        """Of the specialists that predict faces of a known source, such as the test images."""
        return [report for report in self.reports if report.specialist in self.experiment.ending]

    @property
    def together(self) -> dict[str, tuple[Estimate, ...]]:
        """What the specialists of all sources or points are worth on all labels; {} for a single one."""
        reports = self.by_source
        if len(reports) < 2:
            return {}
        labels = [np.isfinite(self.validations[report.specialist].truth_px).sum() for report in reports]
        estimates = zip(*(report.estimates for report in reports), strict=True)
        names = " and ".join(report.specialist for report in reports)
        return {names: tuple(pooled(of_each, labels) for of_each in estimates)}


def choose_members(run: Run, experiment: Experiment, faces: FaceData, say: Say) -> Choice:
    """Choose the members of every specialist by their validation predictions; says which are left out.

    Raises UserError where a specialist has no finished member, and as `read_validation` and
    `select_members` do.
    """
    validations, reports = dict[str, Validation](), []
    for specialist in experiment.specialists:
        validation = read_validation(run, experiment, specialist, faces.training)
        for line in validation.left_out:
            say(line)
        if not validation.members:
            raise UserError(
                f"{run.path}: the specialist {specialist} has no finished member; continue with fkd train"
            )
        validations[specialist] = validation
        reports.append(validation.select())
    return Choice(run, experiment, faces, validations, reports)
