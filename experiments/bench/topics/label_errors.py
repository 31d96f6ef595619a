"""What `fkd review` shows first: of wrong labels planted among the drawn faces, how many are near the top."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiments.bench.subjects.command import fkd_seconds
from experiments.bench.subjects.planted_errors import planted_errors, write_with_errors
from fkd.data.source import load_data
from fkd.ensemble.suspect_labels import SuspectLabel, suspect_labels
from fkd.experiment.store import Run

ERRORS, SHOWN = 200, 300
BANDS_PX = (5, 10, 15, 20)


def tables(_: Path) -> dict[str, pd.DataFrame]:
    """Planted errors by their size, and how many of them are among the first labels that are shown."""
    faces = load_data("synthetic", lambda line: None)
    planted = planted_errors(faces, ERRORS)
    with tempfile.TemporaryDirectory() as place:
        folder, store = Path(place) / "planted", Path(place) / "store"
        write_with_errors(Path("data/synthetic"), folder, planted)
        for verb in ("train", "select"):
            fkd_seconds(verb, "quick", "--data", folder, "--store", store)
        wrong = load_data(str(folder), lambda line: None)
        suspects = suspect_labels(Run(store / "quick-planted"), wrong, lambda line: None)
    return {
        f"{ERRORS} wrong labels among the embedded set's, as fkd review shows them": found(planted, suspects)
    }


def found(planted: pd.DataFrame, suspects: Sequence[SuspectLabel]) -> pd.DataFrame:
    """By size of the error: how many are planted, among the first SHOWN suspects, and among all of them."""
    labels = pd.Series(list(zip(planted["row"], planted["point"], strict=True)))
    shown = [(one.row, one.point) for one in suspects]
    sizes = pd.cut(planted["distance_px"], BANDS_PX, include_lowest=True)
    lines = []
    for name, these in [
        *((f"{size.left:.0f} to {size.right:.0f} px", sizes == size) for size in sizes.cat.categories),
        ("all", sizes.notna()),
    ]:
        first, listed = (int(labels[these].isin(some).sum()) for some in (shown[:SHOWN], shown))
        planted_here = int(these.sum())
        lines.append(
            {"error": name, "planted": planted_here, f"among the first {SHOWN}": first, "listed": listed}
        )
    return pd.DataFrame(lines)
