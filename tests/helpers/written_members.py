"""Members that are finished without a training, and a choice among them."""

from fkd.core.files import atomic_write_json, sha256
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


def select(run: Run, **chosen: list[int]) -> None:
    """Choose members as `fkd select` writes it."""
    reports = [{"specialist": specialist, "chosen": members} for specialist, members in chosen.items()]
    atomic_write_json(run.selection, reports)
