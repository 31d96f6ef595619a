"""How soon fkd answers: its help, and where the 100 members of a run stand."""

import tempfile
from pathlib import Path

from experiments.bench.rows import Row
from experiments.bench.subjects.command import fkd_seconds
from experiments.bench.subjects.stored_run import EPOCHS, write_run
from fkd.data.source import load_data

MEMBERS = 100
HELP_LIMIT_S, STATUS_LIMIT_S = 0.5, 1.0
REPEATS = 5


def measure(data_folder: Path) -> list[Row]:
    """Median seconds of calls from the shell, the files in the page cache."""
    with tempfile.TemporaryDirectory() as store:
        write_run(Path(store), load_data(str(data_folder)), MEMBERS)
        return [
            _within("`fkd --help`", HELP_LIMIT_S, "--help"),
            _within(
                f"`fkd status`, {MEMBERS} members of {EPOCHS} epochs",
                STATUS_LIMIT_S,
                "status",
                "--store",
                store,
            ),
        ]


def _within(what: str, limit_s: float, *arguments: str) -> Row:
    fkd_seconds(*arguments)
    measured_s = fkd_seconds(*arguments, repeats=REPEATS)
    return Row(what, f"{limit_s:g} s", limit_s / measured_s, 1.0, f"{measured_s:.2f} s")
