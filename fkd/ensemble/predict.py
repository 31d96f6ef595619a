"""What a run's chosen members predict: many images once, or a few faces at a time, as on photos."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from fkd.core.errors import UserError
from fkd.core.metrics import spread_px
from fkd.core.say import Say
from fkd.data.crops import face_crops, from_crops
from fkd.ensemble.radii_file import EnsembleRadii, read_radii
from fkd.ensemble.selection import join_specialists
from fkd.ensemble.selection_file import read_selection
from fkd.ensemble.stacking import averaged
from fkd.experiment.experiment import Experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run, is_done, runs_in
from fkd.runs.status import finished_members
from fkd.training.member_files import load_best_weights
from fkd.training.networks.build import build_model
from fkd.training.predict import predict_pixels

# Most photos show one face, which is not to cost as much as eight. A network is traced for these two shapes.
_FACES_AT_ONCE = 8
# Between its layers one member leaves cores idle; another's convolutions fill them.
_MEMBERS_AT_ONCE = 2

# Member numbers by specialist; a repeated number weighs double, those of a Stack have its weights.
Chosen = Mapping[str, Sequence[int]]
# By specialist: what each of its chosen members predicts, shape (members, n, points, 2) in pixels.
Predictions = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Ensemble:
    """The chosen members of a run; for one thread at a time.

    models: one network a specialist, whose weights are set member by member. weights: by specialist and
    member. radii: how far off points may be; None where `fkd select` has not measured these members.
    """

    run: Run
    experiment: Experiment
    chosen: Chosen
    models: Mapping[str, keras.Model]
    weights: Mapping[str, Mapping[int, list[npt.NDArray[np.float32]]]]
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
        predictions = {
            specialist: _repeated(
                members, {index: self._predict_member(specialist, index, faces) for index in set(members)}
            )
            for specialist, members in self.chosen.items()
        }
        mean_px = _mean(self.experiment, self.chosen, predictions)
        return mean_px, _spread(self.experiment, predictions)

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

    def _predict_member(
        self, specialist: str, index: int, faces: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float32]:
        """A member's points in pixels, shape (n, points, 2)."""
        model = self.models[specialist]
        model.set_weights(self.weights[specialist][index])
        at_once = _FACES_AT_ONCE if len(faces) > 1 else 1
        return predict_pixels(model, self.experiment, specialist, faces, at_once)


def load_ensemble(run: Run, say: Say) -> Ensemble:
    """Load the members that `fkd select` chose; of a specialist without a choice all that are finished.

    Says which members those are. Raises UserError for a run that is not there or has no finished member, and
    for a chosen one whose files are missing or damaged.
    """
    experiment = run.read_experiment()
    chosen = chosen_members(run, experiment, say)
    models: dict[str, keras.Model] = {}
    weights: dict[str, dict[int, list[npt.NDArray[np.float32]]]] = {}
    for specialist, members in chosen.items():
        model = _build_network(experiment, specialist)
        weights[specialist] = {}
        for index in dict.fromkeys(members):
            load_best_weights(model, run.member(specialist, index))
            weights[specialist][index] = model.get_weights()
        models[specialist] = model
    counts = " + ".join(f"{len(distinct)} {specialist}" for specialist, distinct in weights.items())
    say(f"{run.path}: predicting with its members: {counts}")
    radii = read_radii(run, experiment, chosen)
    if not radii:
        say(f"{run.path}: no radii of these members; fkd select measures how far off their points may be")
    return Ensemble(run, experiment, chosen, models, weights, radii)


def predict_ensemble(
    run: Run, experiment: Experiment, chosen: Chosen, images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """The chosen members' average for every point of the schema, shape (n, points, 2) in pixels.

    Points that no specialist predicts are NaN. The experiment's `prediction` says how faces are found and
    maps are read.
    """
    if experiment.prediction.detector == "haar":
        crops, boxes = face_crops(images)
        return from_crops(_predict_faces(run, experiment, chosen, crops), boxes)
    return _predict_faces(run, experiment, chosen, images)


def chosen_members(run: Run, experiment: Experiment, say: Say) -> dict[str, Sequence[int]]:
    """The members that `fkd select` chose, by specialist; of one without a choice all that are finished.

    Says where there is no choice or no member. Raises UserError where no specialist has a finished member,
    and for a chosen one whose files are missing or damaged.
    """
    chosen = dict[str, Sequence[int]]()
    selected = {name: report.chosen for name, report in read_selection(run).items()}
    for specialist in experiment.specialists:
        members: Sequence[int] = selected.get(specialist) or finished_members(run, experiment, specialist)[0]
        if members and specialist not in selected:
            say(f"{run.path}: no selection for {specialist}, so all its finished members; fkd select chooses")
        elif not members:
            say(f"{run.path}: no finished member of {specialist}; its points are left out")
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
            f"{store}: expected a run whose members were selected, received none; make one with "
            "make train-ensemble submit, or name another with --run"
        )
    return max(selected, key=lambda run: run.selection.stat().st_mtime)


def _predict_faces(
    run: Run, experiment: Experiment, chosen: Chosen, images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    predictions = {
        specialist: _repeated(
            members, _predict_members(run, experiment, specialist, sorted(set(members)), images)
        )
        for specialist, members in chosen.items()
    }
    return _mean(experiment, chosen, predictions)


def _predict_members(
    run: Run, experiment: Experiment, specialist: str, members: Sequence[int], images: npt.NDArray[np.uint8]
) -> dict[int, npt.NDArray[np.float32]]:
    """What each member predicts, shape (n, points, 2) in pixels; the same whichever others are asked for."""
    # As many as there are threads, so that one is always free; each is traced once.
    free = [_build_network(experiment, specialist) for _ in range(min(_MEMBERS_AT_ONCE, len(members)))]

    def predict(index: int) -> npt.NDArray[np.float32]:
        model = free.pop()
        try:
            load_best_weights(model, run.member(specialist, index))
            return predict_pixels(model, experiment, specialist, images)
        finally:
            free.append(model)

    with ThreadPoolExecutor(len(free)) as threads:
        return dict(zip(members, threads.map(predict, members), strict=True))


def _build_network(experiment: Experiment, specialist: str) -> keras.Model:
    """A network into which any member of a specialist can be loaded."""
    points = len(experiment.point_indices(specialist))
    return build_model(experiment.network, points, experiment.member_seed(specialist, 0))


def _repeated(
    members: Sequence[int], distinct: Mapping[int, npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """What members predict, as often as each was chosen, shape (members, n, points, 2)."""
    return np.stack([distinct[index] for index in members])


def _mean(experiment: Experiment, chosen: Chosen, predictions: Predictions) -> npt.NDArray[np.float64]:
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
