"""How cost grows: against rows of the data, members of a run, and processes that train one run."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import matplotlib
import pandas as pd

from experiments.bench.conditions import REPOSITORY, RESULTS
from experiments.bench.rows import seconds
from experiments.bench.subjects.command import FKD, fkd_seconds
from experiments.bench.subjects.larger_set import larger_faces, write_larger_files
from experiments.bench.subjects.stored_run import run_settings, write_run
from fkd.data.cache import load_folder
from fkd.data.faces import FaceData
from fkd.data.source import load_data
from fkd.data.synthetic.data_set import write_synthetic
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run
from fkd.runs.splits import make_splits
from fkd.training.batches import member_batches

matplotlib.use("Agg")

DRAWN_ROWS = 1000
ROWS = (1000, 3000, 10_000, 30_000, 100_000)
MEMBERS = (10, 30, 100, 300)
WORKERS = (1, 2, 4)
# Eight members of 1,600 and of 530 images: about half a minute for one process on two cores.
TRAINED = ("training.max_epochs=2", "specialists.four.members=4", "specialists.eleven.members=4")


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Seconds against rows, members and processes; the figure of all goes into RESULTS."""
    with _scratch() as folder:
        drawn = folder / "drawn"
        write_synthetic(drawn, training_faces=DRAWN_ROWS, test_faces=1)
        found = {
            "Growth with the rows": against_rows(drawn, folder),
            "Growth with the members": against_members(data_folder, folder),
            "Growth with the processes": against_workers(drawn, folder),
        }
    _draw(found, RESULTS / "growth.png")
    return found


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder on the disk of the data: 100,000 rows of text are 3.4 GB, more than some /tmp may hold."""
    parent = REPOSITORY / "data"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".growth-", dir=parent) as folder:
        yield Path(folder)


def against_rows(drawn: Path, folder: Path) -> pd.DataFrame:
    """Reading, splitting, and one epoch's batches of the specialist that has all rows, in one thread."""
    faces = load_folder("drawn", drawn, folder / "cache", _quiet)
    return pd.DataFrame([_one_size(drawn, faces, folder / f"{rows}", rows) for rows in ROWS])


def _one_size(drawn: Path, drawn_faces: FaceData, folder: Path, rows: int) -> dict[str, float]:
    repeats = max(1, min(5, 10_000 // rows))
    cold_s, cached_s = _reading_seconds(drawn, folder, rows, repeats)
    faces = larger_faces(drawn_faces, rows)
    experiment = load_experiment("ensemble")
    batches = member_batches(experiment, "four", faces.training)[0]

    def split() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as run:
            make_splits(Run(Path(run)), experiment, faces)

    def augment() -> None:
        for index in range(len(batches)):
            batches(0, index)

    return {
        "rows": rows,
        "read cold s": cold_s,
        "read cached s": cached_s,
        "split s": median(seconds(split) for _ in range(repeats)),
        "augment an epoch s": median(seconds(augment) for _ in range(repeats)),
    }


def _reading_seconds(drawn: Path, folder: Path, rows: int, repeats: int) -> tuple[float, float]:
    """Seconds without and with fkd's cache; the files themselves are in the machine's memory both times."""
    write_larger_files(drawn, folder, rows)
    cache = folder / "cache"

    def read() -> None:
        load_folder("larger", folder, cache, _quiet)

    cold_s, cached_s = [], []
    for _ in range(repeats):
        for path in cache.glob("*"):
            path.unlink()
        cold_s.append(seconds(read))
        cached_s.append(seconds(read))
    (folder / "training.csv").unlink()
    return median(cold_s), median(cached_s)


def against_members(data_folder: Path, folder: Path) -> pd.DataFrame:
    """The verbs that look at a run, as called from the shell; half of the members in each specialist."""
    faces = load_data(str(data_folder))
    lines = []
    for members in MEMBERS:
        store = folder / f"{members}-members"
        store.mkdir()
        write_run(store, faces, members)
        settings = [word for setting in run_settings(members) for word in ("--set", setting)]
        run = ("ensemble", "--data", data_folder, "--store", store)
        lines.append(
            {
                "members": members,
                "status s": fkd_seconds("status", "--store", store, repeats=3),
                "select s": fkd_seconds("select", *run, *settings, repeats=3),
                "report s": fkd_seconds("report", *run, *settings),
            }
        )
    return pd.DataFrame(lines)


def against_workers(drawn: Path, folder: Path) -> pd.DataFrame:
    """Seconds until processes that share one store have trained the same eight members."""
    lines = []
    for workers in WORKERS:
        trained_s = _train_together(drawn, folder / f"{workers}-workers", workers)
        lines.append({"processes": workers, "train s": trained_s})
    return pd.DataFrame(lines)


def _train_together(drawn: Path, store: Path, workers: int) -> float:
    experiment = REPOSITORY / "experiments/ensemble.yaml"
    settings = [word for setting in TRAINED for word in ("--set", setting)]
    call = [FKD, "train", experiment, "--data", drawn, "--store", store, *settings]
    # In the scratch folder, so that the cache of the drawn set goes with it.
    start = partial(subprocess.Popen, call, cwd=store.parent, stdout=subprocess.DEVNULL)
    started_s = time.perf_counter()
    processes = [start() for _ in range(workers)]
    statuses = [process.wait() for process in processes]
    if any(statuses):
        raise RuntimeError(f"{' '.join(map(str, call))}: exit statuses {statuses}")
    return time.perf_counter() - started_s


def _draw(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """One panel a table, both axes logarithmic; dotted: as the first point would grow linearly.

    Against processes, linear is the first point's seconds divided by their number.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns
    from matplotlib.ticker import LogLocator

    sns.set_theme(style="whitegrid", palette="colorblind")
    figure, panels = plt.subplots(1, len(tables), figsize=(12, 4), layout="constrained")
    for panel, table in zip(panels, tables.values(), strict=True):
        sizes = table.iloc[:, 0]
        factors = sizes / sizes.iloc[0]
        for heading in table.columns[1:]:
            (line,) = panel.plot(sizes, table[heading], marker="o", label=heading.removesuffix(" s"))
            linear_s = table[heading].iloc[0] * (1 / factors if sizes.name == "processes" else factors)
            panel.plot(sizes, linear_s, linestyle=":", linewidth=1, color=line.get_color())
        panel.set(xscale="log", yscale="log", xlabel=sizes.name, ylabel="seconds")
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
        panel.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _quiet(line: str) -> None:
    """Say nothing of what is read."""
