"""Keras callbacks that an experiment file names: which are accepted; `training.callbacks` makes them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from fkd.experiment.settings import Named, name_of

_INSTEAD = {
    "BackupAndRestore": "fkd saves every member's state itself; see training.checkpoint_seconds",
    "CSVLogger": "fkd writes a history.csv for every member itself",
    "ModelCheckpoint": "fkd keeps the best weights itself; training.monitor says by which figure",
    "OrbaxCheckpoint": "fkd saves every member's state itself; see training.checkpoint_seconds",
    "RemoteMonitor": "after a resume it would send every epoch again",
    "SwapEMAWeights": "use training.weight_averaging",
    "TensorBoard": "use the option --tensorboard (make: TENSORBOARD=1)",
}


def _checked(callback: Named) -> Named:
    """The same; nothing is imported, because files of runs are read in this way, too."""
    name = name_of(callback)
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError("expected a Keras callback's name or a class's import path, package.module.Class")
    of_keras = name.removeprefix("keras.callbacks.")
    if instead := _INSTEAD.get(of_keras):
        raise ValueError(f"{of_keras}: {instead}; leave it out")
    return callback


Callbacks = Annotated[tuple[Annotated[Named, AfterValidator(_checked)], ...], Field(max_length=100)]
