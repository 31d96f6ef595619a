"""The chosen members in memory, which predict a few faces at a time, as on photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.metrics import spread_px
from fkd.core.say import Say
from fkd.ensemble.graph_file import Chosen, open_graph
from fkd.ensemble.radii_file import EnsembleRadii, read_radii
from fkd.ensemble.selection import join_specialists
from fkd.ensemble.selection_file import read_selection
from fkd.ensemble.stacking import averaged
from fkd.experiment.experiment import Experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run, is_done, runs_in
from fkd.runs.status import finished_members

# By specialist: what each of its chosen members predicts, shape (members, n, points, 2) in pixels.
Predictions = Mapping[str, npt.NDArray[np.float32]]
# From the experiment, which says how, and faces (n, 96, 96) to the points of each member by specialist and
# number, shape (n, points, 2) in pixels.
Members = Callable[[Experiment, npt.NDArray[np.uint8]], Mapping[str, Mapping[int, npt.NDArray[np.float32]]]]


@dataclass(frozen=True)
class Ensemble:
    """The chosen members of a run; for one thread at a time.

    members: what predicts with each of them. radii: how far off points may be; None where `fkd select` has
    not measured these members.
    """

    run: Run
    experiment: Experiment
    chosen: Chosen
    members: Members
    radii: EnsembleRadii | None = None

    def predict(
        self, faces: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The members' mean and spread on uint8 faces (n, 96, 96), shapes (n, points, 2) and (n, points).

        Both in pixels of the faces, points in schema order, NaN where no specialist predicts. The spread is
        the standard deviation over the members, the root of the summed variances of x and y. The experiment's
        `prediction.detector` is ignored: the faces have been found. `radii_px` makes radii of the spread.
        """
        if not len(faces):
            points = len(self.experiment.schema_points.names)
            return np.empty((0, points, 2)), np.empty((0, points))
        distinct = self.members(self.experiment, faces)
        predictions = {
            specialist: repeated(members, distinct[specialist]) for specialist, members in self.chosen.items()
        }
        mean = mean_px(self.experiment, self.chosen, predictions)
        return mean, _spread(self.experiment, predictions)

    def radii_px(self, spread_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Radii that hold the truth in `prediction.coverage` of cases, from a spread that `predict` gives.

        Both have the shape (n, points) and are in pixels of the faces. NaN for points of which there are too
        few labels, and for all where `fkd select` has not measured these members. They are promised for faces
        like those of the validation.
        """
        return self.radii.px(spread_px) if self.radii else np.full(spread_px.shape, np.nan)

    def are_doubtful(self, spread_px: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Whether the radii of most points are large, as where there is no face, shape (n,)."""
        return self.radii.are_large(spread_px) if self.radii else np.full(len(spread_px), False)


def load_ensemble(run: Run, say: Say) -> Ensemble:
    """Load the members that `fkd select` chose; of a specialist without a choice all that are finished.

    Says which members those are. Raises UserError for a run that is not there or has no finished member, and
    for a chosen one whose files are missing or damaged.
    """
    experiment = run.read_experiment()
    chosen = chosen_members(run, experiment, say)
    members = _find_members(run, experiment, chosen, say)
    counts = " + ".join(f"{len(set(indices))} {specialist}" for specialist, indices in chosen.items())
    say(f"{run.path}: predicting with its members: {counts}")
    radii = read_radii(run, experiment, chosen)
    if not radii:
        say(f"{run.path}: no radii of these members; fkd select measures how far off their points may be")
    return Ensemble(run, experiment, chosen, members, radii)


def chosen_members(run: Run, experiment: Experiment, say: Say) -> dict[str, Sequence[int]]:
    """The members that `fkd select` chose, by specialist; of one without a choice all that are finished.

    Specialists that continue others, each on the faces of a source, are left out: no source is known here.
    Says where there is no choice or no member. Raises UserError where no specialist has a finished member,
    and for a chosen one whose files are missing or damaged.
    """
    chosen = dict[str, Sequence[int]]()
    selected = {name: report.chosen for name, report in read_selection(run).items()}
    for specialist in experiment.beginning:
        members: Sequence[int] = selected.get(specialist) or finished_members(run, experiment, specialist)[0]
        if members and specialist not in selected:
            say(f"{run.path}: no selection for {specialist}, so all its finished members; fkd select chooses")
        elif not members:
            say(f"{run.path}: the specialist {specialist} has no finished member; its points are left out")
        for index in dict.fromkeys(selected.get(specialist, ())):
            if not is_done(run.member(specialist, index)):
                raise UserError(
                    f"{run.path}: {MemberId(specialist, index).name}: expected a finished member with whole "
                    "files, received none; continue with fkd train, then fkd select"
                )
        if members:
            chosen[specialist] = members
    if not chosen:
        raise UserError(f"{run.path}: expected a finished member, received none; continue with fkd train")
    return chosen


def find_run(store: Path, name: str | None) -> Run:
    """The run of that name in a store (`comparison/ensemble-kaggle` too); without a name the last selected.

    Raises UserError, naming those that there are, where there is none.
    """
    if name is not None:
        run = Run(store / name)
        if not run.experiment.is_file():
            at_hand = ", ".join(other.name for other in runs_in(store)) or "none"
            raise UserError(f"--run {name}: no such run in {store}; available runs: {at_hand}")
        return run
    selected = [run for run in runs_in(store) if run.selection.is_file()]
    if not selected:
        raise UserError(
            f"{store}: no run here has selected members; make one with "
            "make train-ensemble submit, or name another with --run"
        )
    return max(selected, key=lambda run: run.selection.stat().st_mtime)


def _find_members(run: Run, experiment: Experiment, chosen: Chosen, say: Say) -> Members:
    """The members as one graph where ONNX Runtime and what writes it are installed, else by Keras."""
    if graph := open_graph(run, experiment, chosen, say):
        return graph
    from fkd.ensemble.keras_members import KerasMembers  # loads Keras

    return KerasMembers.load(run, experiment, chosen)


def repeated(
    members: Sequence[int], distinct: Mapping[int, npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """What members predict, as often as each was chosen, shape (members, n, points, 2)."""
    return np.stack([distinct[index] for index in members])


def mean_px(experiment: Experiment, chosen: Chosen, predictions: Predictions) -> npt.NDArray[np.float64]:
    """The members' mean for all points of the schema, shape (n, points, 2)."""
    means = {name: averaged(by_member, chosen[name]) for name, by_member in predictions.items()}
    return join_specialists(experiment, means)


def _spread(experiment: Experiment, predictions: Predictions) -> npt.NDArray[np.float64]:
    """The members' standard deviation, x and y together, for all points of the schema, shape (n, points).

    Specialists of the same points, which differ in their folds, are one ensemble.
    """
    of_points = dict[tuple[int, ...], list[npt.NDArray[np.float32]]]()
    for specialist, by_member in predictions.items():
        of_points.setdefault(tuple(experiment.point_indices(specialist).tolist()), []).append(by_member)
    faces = next(iter(predictions.values())).shape[1]
    spreads = np.full((faces, len(experiment.schema_points.names)), np.nan)
    for points, by_specialist in of_points.items():
        spreads[:, points] = spread_px(np.concatenate(by_specialist))
    return spreads
