"""How fast the systems of a comparison learn: best error against images seen, a CSV and a figure."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from fkd.core.errors import UserError, one_line
from fkd.core.files import atomic_write_bytes, is_there, read_regular
from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.core.say import Say
from fkd.data.csv_cells import LARGEST_TABLE_BYTES
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import HistoryColumn, Run
from fkd.report.comparison import finished_histories
from fkd.report.comparison_file import Comparison, Row
from fkd.report.style import LIGHT, WIDE_IN

_COLUMNS = ["table", "system", "images", "best_rmse_px"]
_POINTS = 40  # of a curve: more cannot be told apart
_PANEL_IN, _WORDS_IN = 3.0, 2.4
_HIGHEST_PX = IMAGE_SIZE_PX / 2  # beyond half a face nothing is learned yet


def learning_curves(runs: Mapping[Row, tuple[Experiment, Run]]) -> pd.DataFrame:
    """The best validation RMSE so far against images seen, of the finished rows; the mean over their members.

    Columns system, images and best_rmse_px. A system of several specialists has a curve for each. Images are
    those that one network has seen.
    """
    curves = []
    once = dict[Path, Row]()  # a run may have several rows
    for row, (_, run) in runs.items():
        once.setdefault(run.path, row)
    for row, histories in finished_histories({row: runs[row] for row in once.values()}).items():
        specialists = dict.fromkeys(member.specialist for member in histories)
        for specialist in specialists:
            named = f"{row.system}: {specialist}" if len(specialists) > 1 else row.system
            those = [histories[member] for member in histories if member.specialist == specialist]
            images = np.cumsum([record[HistoryColumn.IMAGES] for record in max(those, key=len)])
            shown = np.unique(np.geomspace(1, len(images), _POINTS).round().astype(int) - 1)
            best_px = np.mean(
                [_best_px(history)[np.minimum(shown, len(history) - 1)] for history in those], axis=0
            )
            curves.append(pd.DataFrame({"system": named, "images": images[shown], "best_rmse_px": best_px}))
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=_COLUMNS[1:])


def _best_px(history: Sequence[Mapping[str, float]]) -> npt.NDArray[np.float64]:
    return np.minimum.accumulate([record[HistoryColumn.VALIDATION_RMSE_PX] for record in history])


def write_curves(file: Path, comparison: Comparison, curves: Mapping[str, pd.DataFrame], say: Say) -> None:
    """Write NAME-curves.csv and the figure NAME-curves.png beside a comparison's file.

    curves: `learning_curves` by the title of the table. Systems that have none here keep those of the CSV
    while they have a row. Raises UserError where the CSV is not as it was written.
    """
    results = file.with_name(f"{file.stem}-curves.csv")
    former = _read(results)
    new = [some.assign(table=title)[_COLUMNS] for title, some in curves.items() if len(some)]
    renewed = {(title, system) for title, some in curves.items() for system in some["system"]}
    kept = [pair not in renewed for pair in zip(former["table"], former["system"], strict=True)]
    together = pd.concat([*new, former[kept]], ignore_index=True) if new else former
    places = _places(comparison, together)
    together = together.loc[places.dropna().sort_values(kind="stable").index]
    if together.empty:
        return
    # Drawn as it is kept, so that the figure is the same wherever it is made again.
    together["best_rmse_px"] = together["best_rmse_px"].astype(float).round(4)
    text = together.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    atomic_write_bytes(results, text.encode())
    figure = results.with_suffix(".png")
    atomic_write_bytes(figure, _png(together))
    say(f"{results}, {figure}: the best error against the images seen")


def _places(comparison: Comparison, curves: pd.DataFrame) -> pd.Series:
    """Which of all rows each line belongs to, whichever of its specialists; NaN where it has none."""
    rows = [(table.title, row.system) for table in comparison.tables for row in table.rows]
    places = {row: float(place) for place, row in enumerate(rows)}

    def place(title: str, system: str) -> float:
        return places.get((title, system), places.get((title, system.rpartition(": ")[0]), np.nan))

    pairs = zip(curves["table"], curves["system"], strict=True)
    return pd.Series([place(*pair) for pair in pairs], curves.index, dtype=float)


def _read(results: Path) -> pd.DataFrame:
    if not is_there(results):
        return pd.DataFrame(columns=_COLUMNS)
    try:
        return pd.read_csv(io.BytesIO(read_regular(results, LARGEST_TABLE_BYTES)))[_COLUMNS]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{results}: expected the CSV that compare writes, received another ({one_line(error)}); "
            "restore it, or remove it with its curves"
        ) from error


def _png(curves: pd.DataFrame) -> bytes:
    tables = list(dict.fromkeys(curves["table"]))
    with rc_context(LIGHT.rc_params()):
        figure = Drawing(figsize=(WIDE_IN + _WORDS_IN, _PANEL_IN * len(tables)))
        for number, title in enumerate(tables, start=1):
            axes = figure.add_subplot(len(tables), 1, number)
            for place, (system, curve) in enumerate(
                curves[curves["table"] == title].groupby("system", sort=False)
            ):
                style = ("-", "--", ":")[place // 10 % 3]
                axes.plot(curve["images"], curve["best_rmse_px"], style, color=f"C{place % 10}", label=system)
            axes.set(title=title, xscale="log", yscale="log", xlabel="images that a network has seen")
            axes.set_ylabel("best validation RMSE px")
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_ylim(top=min(axes.get_ylim()[1], _HIGHEST_PX))
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.grid(visible=True)
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
        canvas, file = FigureCanvasAgg(figure), io.BytesIO()
        canvas.print_png(file, metadata={"Software": None})
    return file.getvalue()
