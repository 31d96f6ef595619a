"""The topics, and how each is measured in a process of its own.

A topic is a module beside this one. `measure(data_folder) -> list[Row]` gives its rows of the table that has
targets; `tables(data_folder) -> dict[str, pandas.DataFrame]` gives tables of its own, by title. It has one
of them or both.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from experiments.bench.notes import Measured

TOPICS = (
    "reading",
    "augmentation",
    "training",
    "host",
    "at_once",
    "precision",
    "further_member",
    "prediction",
    "start_up",
    "memory",
    "growth",
    "near_duplicates",
    "preemptions",
    "gpu_check",
    "on_paper",
    "cluster",
    "side_by_side",
    "profile_epoch",
    "passes",
    "combining",
    "limits",
    "radii",
    "label_errors",
    "imm",
    "rivals",
    "whole_photos",
)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def in_fresh_process(
    function: Callable[Arguments, Result], *arguments: Arguments.args, **settings: Arguments.kwargs
) -> Result:
    """What a function returns in a new process, where no library is loaded and no cache is warm."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **settings).result()


def measure_topic(name: str, folder: Path, conditions: dict[str, str]) -> Measured:
    """Run a topic here and now."""
    topic: Any = import_module(f"experiments.bench.topics.{name}")
    rows = topic.measure(folder) if hasattr(topic, "measure") else []
    tables = topic.tables(folder) if hasattr(topic, "tables") else {}
    columns = {title: table.to_dict(orient="list") for title, table in tables.items()}
    return Measured(name, conditions, tuple(rows), columns)
