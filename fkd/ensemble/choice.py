"""What `fkd select` makes of a run: every specialist's validation and the members that it chooses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fkd.core.errors import UserError
from fkd.core.say import Say
from fkd.data.faces import FaceData
from fkd.ensemble.selection import SelectionReport
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
            raise UserError(f"{run.path}: no finished member of {specialist}; continue with fkd train")
        validations[specialist] = validation
        reports.append(validation.select())
    return Choice(run, experiment, faces, validations, reports)
