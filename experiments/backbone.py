"""`python -m experiments.backbone RUN TARGET`: a trained ResNet as Keras distributes pretrained ones.

TARGET is a new folder for a preset of keras-hub (depths 18 and 34), or a file *.h5 in the layout of
keras.applications (depth 50). Another experiment begins with it by `network.weights=TARGET`, the same door
through which ImageNet's weights come.
"""

import sys
from pathlib import Path

from fkd.core.errors import UserError
from fkd.ensemble.keras_members import build_network
from fkd.experiment.network import ResNet
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run, is_done
from fkd.training.member_files import load_best_weights


def write_backbone(run: Run, target: Path) -> None:
    """Write the backbone of the run's first member; raises UserError for a run that has no such member."""
    experiment = run.read_experiment()
    if not isinstance(experiment.network, ResNet):
        raise UserError(f"{run.path}: expected a ResNet, received {experiment.network.kind}")
    first = MemberId(next(iter(experiment.specialists)), 0)
    if not is_done(run.member(*first)):
        raise UserError(f"{run.path}: expected a finished {first.name}, received none; go on with fkd train")
    if target.exists():
        raise UserError(f"{target}: expected a new folder or file, received one that is there; name another")
    model = build_network(experiment, first.specialist)
    load_best_weights(model, run.member(*first))
    backbone = model.get_layer("backbone")
    if experiment.network.depth == 50:
        backbone.save(target)
    else:
        backbone.save_to_preset(target)


if __name__ == "__main__":
    try:
        write_backbone(Run(Path(sys.argv[1])), Path(sys.argv[2]))
    except UserError as error:
        sys.exit(str(error))
