"""The arguments that verbs of the command share, with their help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

STORE = "models_store"


class SpotNotice(StrEnum):
    """Clouds whose notice fkd can ask for."""

    EC2 = "ec2"


class EngineName(StrEnum):
    """What trains members."""

    LOCAL = "local"
    RAY = "ray"


class ModelFormat(StrEnum):
    """Ways to write a model."""

    KERAS = "keras"
    SAVEDMODEL = "savedmodel"
    ONNX = "onnx"
    ONNX_INT8 = "onnx-int8"


class Detector(StrEnum):
    """How a face is found before its points are."""

    NONE = "none"
    HAAR = "haar"


ExperimentName = Annotated[
    str | None,
    typer.Argument(
        help="Name of a file in experiments/, or its path [default: quick on synthetic data, else ensemble]"
    ),
]
Data = Annotated[
    str,
    typer.Option(help="auto, kaggle, synthetic, or a folder with the competition's files"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be given many times"),
]
Store = Annotated[
    str, typer.Option("--store", help="Folder that keeps the runs, or a URL such as s3://bucket/prefix")
]

Address = Annotated[
    str | None, typer.Option(help="Of the Ray cluster [default: RAY_ADDRESS, else one is started here]")
]

RunName = Annotated[str | None, typer.Option(help="Name of a run in the store [default: the last selected]")]
StoreFolder = Annotated[Path, typer.Option("--store", help="Folder that keeps the runs")]
Port = Annotated[int, typer.Option(min=1, max=65535)]
