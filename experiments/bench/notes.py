"""What was measured: kept as one JSON file a topic, written as the tables of experiments/BENCHMARKS.md."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.bench.rows import Row
from fkd.core.files import atomic_write_json
from fkd.report.tables import markdown_table

# The versions that are named, by their keys in the provenance of a run.
_VERSIONS = {
    "fkd": "commit",
    "Python": "python",
    "TensorFlow": "tensorflow",
    "JAX": "jax",
    "Keras": "keras",
    "NumPy": "numpy",
    "OpenCV": "opencv-python-headless",
}


@dataclass(frozen=True)
class Measured:
    """The figures of one topic and on what they were measured.

    tables: the topic's own tables, as columns by heading, by title.
    """

    topic: str
    conditions: dict[str, str]
    rows: tuple[Row, ...] = ()
    tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)

    @property
    def missed(self) -> tuple[Row, ...]:
        """The rows that miss their targets."""
        return tuple(row for row in self.rows if not row.passes)


def save(measured: Measured, folder: Path) -> None:
    """Keep a topic's figures in `<folder>/<topic>.json`, in place of its former ones."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_json(folder / f"{measured.topic}.json", asdict(measured))


def load_all(folder: Path, topics: Sequence[str]) -> list[Measured]:
    """The figures that are kept, in the topics' order."""
    return [_load(path) for topic in topics if (path := folder / f"{topic}.json").is_file()]


def _load(path: Path) -> Measured:
    kept = json.loads(path.read_text(encoding="utf-8"))
    return Measured(**kept | {"rows": tuple(Row(**row) for row in kept["rows"])})


def notes(measured: Sequence[Measured]) -> str:
    """The measured part of BENCHMARKS.md: conditions, the table with targets, the topics' own tables."""
    tables = {title: table for topic in measured for title, table in topic.tables.items()}
    sections = [_conditions_list(measured), _targets_table([row for topic in measured for row in topic.rows])]
    sections += [f"### {title}\n\n{_table(columns)}" for title, columns in tables.items()]
    return "".join(f"\n{section}" for section in sections) + "\n"


def _conditions_list(measured: Sequence[Measured]) -> str:
    """One line for each set of conditions, with the topics measured under it."""
    lines: dict[str, list[str]] = {}
    for topic in measured:
        lines.setdefault(_conditions_line(topic.conditions), []).append(topic.topic)
    return "".join(f"- {line}: {', '.join(topics)}.\n" for line, topics in lines.items())


def _conditions_line(conditions: dict[str, str]) -> str:
    versions = [f"{name} {conditions[key]}" for name, key in _VERSIONS.items() if key in conditions]
    return (
        f"{conditions['date']}, {conditions['processor']}, {conditions['cores']} cores, "
        f"GPU: {conditions['gpu']}; {', '.join(versions)}; "
        f"data {conditions['data']} ({conditions['data_checksum'][:12]})"
    )


def _targets_table(rows: Sequence[Row]) -> str:
    lines = [
        {
            "what": row.what,
            "against": row.against,
            "to reach": f"{row.target:g}x",
            "reached": f"{row.ratio:.3g}x",
            "shortfall": "-" if row.passes else f"{row.shortfall:.0%}",
            "detail": row.detail,
        }
        for row in rows
    ]
    return _table({key: [line[key] for line in lines] for key in lines[0]}) if lines else ""


def _table(columns: dict[str, list[Any]]) -> str:
    return markdown_table(pd.DataFrame(columns))
