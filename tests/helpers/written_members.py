"""Members that are finished without a training, and a choice among them."""

import numpy as np
import numpy.typing as npt

from fkd.core.files import atomic_write_json, sha256
from fkd.core.keypoints import to_unit
from fkd.ensemble.selection import Estimate, MemberScore, SelectionReport
from fkd.ensemble.selection_file import write_selection
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import MemberFolder, Run
from fkd.training.networks.build import build_model


def write_member(run: Run, experiment: Experiment, specialist: str, index: int) -> MemberFolder:
    """A finished member with the weights that it begins with."""
    points = experiment.point_indices(specialist)
    folder = run.member(specialist, index)
    folder.path.mkdir(parents=True)
    build_model(experiment.network, len(points), experiment.member_seed(specialist, index)).save_weights(
        folder.best_weights
    )
    atomic_write_json(folder.done, {"files": {folder.best_weights.name: sha256(folder.best_weights)}})
    return folder


def write_answering_member(
    run: Run,
    experiment: Experiment,
    specialist: str,
    index: int,
    answer_px: npt.NDArray[np.floating],
    validation_px: npt.NDArray[np.floating],
) -> None:
    """A finished member that answers these points, shape (points, 2), whatever it sees."""
    folder, seed = run.member(specialist, index), experiment.member_seed(specialist, index)
    folder.path.mkdir(parents=True)
    model = build_model(experiment.network, len(answer_px), seed)
    weights = [np.zeros_like(weight) for weight in model.get_weights()]
    model.set_weights([*weights[:-1], to_unit(answer_px).ravel()])
    model.save_weights(folder.best_weights)
    np.save(folder.validation, validation_px)
    folder.history.write_text("")
    files = (folder.best_weights, folder.validation, folder.history)
    atomic_write_json(folder.done, {"files": {path.name: sha256(path) for path in files}})


def select(run: Run, **chosen: list[int]) -> None:
    """Choose members as `fkd select` writes it."""
    worth = Estimate(1.0, None)
    write_selection(
        run,
        [
            SelectionReport(
                specialist,
                "greedy",
                tuple(MemberScore(index, 1.0, members.count(index)) for index in sorted(set(members))),
                tuple(members),
                worth,
                worth,
                worth,
            )
            for specialist, members in chosen.items()
        ],
    )
