"""Other words in a call: what people type by mistake, and scripts without a look."""

import os
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import yaml

from fuzzing.calls import FINISHED, Call

# Nothing that leads to a network, nor to a training on data that fkd draws.
WORDS = (
    *(
        "",
        " ",
        "-",
        "--",
        ".",
        "x",
        "x" * 300,
        "x" * 5_000,
        "é",
        "\udcff",
        "a\nb",
        "[red]x[/red]",
        "%s{}",
        "~",
    ),
    *(
        "-1",
        "0",
        "1",
        "1e9",
        "nan",
        "1000000000",
        "9" * 400,
        "null",
        "[",
        "{}",
        "a=b",
        "tiny",
        "tiny-faces",
        "07",
    ),
    *("tiny.yaml", "faces", "faces/training.zip", "photos", "photos/one.png", "models_store", "comparison"),
    *("fifo", "loop", "nowhere", "deep/below", "tiny.yaml/x", "faces/../faces", "/dev/null", "empty"),
)
READS = ("--data", "--run", "--yunet", "--file", "--format", "--detector", "--engine", "--spot-notice")
WRITES = ("--output", "--to", "--store")
NUMBERS = ("--jobs", "--at-once", "--port", "--trials")
FLAGS = ("--fresh", "--tensorboard", "--help", "--unknown", "--set", "-x", "--train")
VALUES = (
    *(
        "0",
        "1",
        "-1",
        "3",
        "1000000",
        "1000000000",
        "1e9",
        "1e38",
        "1e400",
        "9" * 5_000,
        "0.5",
        "nan",
        ".inf",
    ),
    *(
        "",
        " ",
        "null",
        "true",
        "x",
        "[]",
        "{}",
        "[1]",
        "[[]]",
        "{a: 1}",
        "[x, {}]",
        "'",
        "[",
        "{",
        "*a",
        "&a",
    ),
    *(
        "../../evil",
        "/evil",
        "é",
        "\udcff",
        "[" * 5_000,
        "!!python/object/apply:os.mkdir [executed]",
        "2026-01-01",
    ),
    *("tiny", "greedy", "float16", "mixed_bfloat16", "gelu", "adam", "nose_tip", "{kind: resnet}", "heatmap"),
)


def lay_traps(work: Path) -> None:
    """What some words name."""
    os.mkfifo(work / "fifo")
    (work / "loop").symlink_to("loop")
    (work / "empty").mkdir()


def other_words(rng: random.Random, call: Call, work: Path) -> tuple[str, ...]:
    """A call's words with one changed, added or taken away."""
    words = list(call.words)
    kind = rng.choice(("set", "set", "set", "changed", "option", "number", "flag", "removed"))
    if kind == "set":
        words += ["--set", f"{_setting(rng, work)}={rng.choice(VALUES)}"]
    elif kind == "changed":
        at = rng.randrange(1, len(words)) if len(words) > 1 else 0
        words[at] = rng.choice(WORDS)
    elif kind == "option":
        words += [rng.choice((*READS, *WRITES)), rng.choice(WORDS)]
    elif kind == "number":
        words += [rng.choice(NUMBERS), rng.choice(VALUES)]
    elif kind == "flag":
        words.insert(rng.randrange(1, len(words) + 1), rng.choice(FLAGS))
    else:
        del words[rng.randrange(1, len(words)) if len(words) > 1 else 0]
    return tuple(words)


def targets_of(words: Sequence[str]) -> tuple[str, ...]:
    """Where a call's words say that it may write."""
    return tuple(os.path.normpath(word) for option, word in pairwise(words) if option in WRITES)


def _setting(rng: random.Random, work: Path) -> str:
    """The name of a setting of the prepared run, or of one that is none."""
    experiment = yaml.safe_load((work / FINISHED / "experiment.yaml").read_text())
    names, open_ = (
        ["name", "base", "x", "", ".", "network.convolutions.0.filters", "specialists.x", "é"],
        [("", experiment)],
    )
    while open_:
        prefix, section = open_.pop()
        for key, value in section.items():
            names.append(f"{prefix}{key}")
            if isinstance(value, dict):
                open_.append((f"{prefix}{key}.", value))
    return rng.choice(names)
