"""How long the pages take: the data's at the competition's size, the report of 100 members with 300 epochs.

make bench-report                     # on the synthetic set
make bench-report DATA=path/to/folder
"""

import argparse
import tempfile
from pathlib import Path

from experiments.bench.subjects.command import fkd_seconds
from experiments.bench.subjects.stored_run import EPOCHS, run_settings, write_run
from fkd.data.source import load_data
from fkd.data.synthetic.data_set import write_synthetic

COMPETITION_ROWS = 7049
MEMBERS = 100


def time_explore(folder: Path) -> None:
    """Time `fkd explore` on as many rows as the competition has, from the files and from the cache."""
    write_synthetic(folder / "competition", training_faces=COMPETITION_ROWS, test_faces=1)
    call = ("explore", "--data", folder / "competition", "--output", folder / "page.html")
    cold_s, warm_s = fkd_seconds(*call), fkd_seconds(*call)
    print(f"explore {COMPETITION_ROWS:,} rows: {cold_s:.1f} s, {warm_s:.1f} s from the cache")


def time_report(folder: Path, data: str) -> None:
    """Time `fkd report` on a run of 100 members."""
    run = write_run(folder, load_data(data, lambda line: None), MEMBERS)
    settings = [word for setting in run_settings(MEMBERS) for word in ("--set", setting)]
    seconds = fkd_seconds("report", "ensemble", "--data", data, "--store", folder, *settings)
    megabytes = run.report.stat().st_size / 1e6
    print(
        f"report of {MEMBERS} members, {EPOCHS} epochs each, on {data}: {seconds:.1f} s, {megabytes:.1f} MB"
    )


def main() -> None:
    """Time both pages in a temporary folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="synthetic")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory() as folder:
        time_explore(Path(folder))
        time_report(Path(folder), data)


if __name__ == "__main__":
    main()
