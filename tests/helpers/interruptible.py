"""A training that is long enough to be interrupted, and the same one undisturbed to compare it with."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from command_line import Running, fkd

Found = TypeVar("Found")

PATIENCE_S = 240
_SETTINGS = (
    "training.max_epochs=40",
    "training.checkpoint_seconds=0.2",
    "resources.cpus=1",
    "augmentation.albumentations=[{RandomGamma: {p: 0.5}}]",
    "callbacks=[{ReduceLROnPlateau: {monitor: loss, factor: 0.9, patience: 2}}]",
)
_ARGUMENTS = ["train", "tiny.yaml", *(word for setting in _SETTINGS for word in ("--set", setting))]


def train_alone(faces_folder: Path, folder: Path) -> None:
    """Train the members of tiny.yaml in a folder one after another."""
    fkd(*_ARGUMENTS, "--data", faces_folder, folder=folder)


def start(faces_folder: Path, log: Path, *options: object) -> Running:
    """Begin the same training here, in another way."""
    with log.open("w") as output:
        return Running(*_ARGUMENTS, "--data", faces_folder, *options, output=output)


def wait_until(happened: Callable[[], Found], otherwise: str) -> Found:
    """What has happened, as soon as it is something; fails after PATIENCE_S."""
    until_s = time.monotonic() + PATIENCE_S
    while not (found := happened()):
        assert time.monotonic() < until_s, otherwise
        time.sleep(0.02)
    return found
