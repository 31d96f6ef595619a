"""Fewer passes: validation RMSE against images seen, of the trainings in experiments/passes.

The trainings take hours and are not run here: `fkd train passes/NAME --data ../shared/data/wild15` runs
one. Their curves are read from the store where it has them, and kept beside the other results.
"""

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import NullFormatter

from experiments.bench.conditions import RESULTS
from experiments.bench.rows import Row
from fkd.core.errors import UserError
from fkd.core.metrics import rmse_px
from fkd.data.source import load_data
from fkd.ensemble.validation import read_validation
from fkd.experiment.files import load_experiment
from fkd.experiment.store import DEFAULT_STORE, Run, runs_in
from fkd.runs.status import finished_members

matplotlib.use("Agg")

PUBLISHED = "published"
SPECIALIST = "eleven"
CURVES, MEMBERS, FIGURE = RESULTS / "passes.csv", RESULTS / "passes-members.csv", RESULTS / "passes.png"


def measure(data_folder: Path) -> list[Row]:
    """The published recipe's images against the fewest that reach its RMSE, by its network and by any."""
    needed = images_needed(_curves(data_folder)).dropna()
    network = load_experiment("passes/published").network
    same = [name for name in needed.index if load_experiment(f"passes/{name}").network == network]
    rows = []
    for what, names, target in (("its network", same, 4.0), ("any network", list(needed.index), 10.0)):
        best = needed[names].idxmin()
        detail = f"{needed[best]:,.0f} ({best}) against {needed[PUBLISHED]:,.0f} images"
        ratio = needed[PUBLISHED] / needed[best]
        rows.append(
            Row(
                f"images to the published recipe's RMSE, {what}",
                "the published recipe",
                ratio,
                target,
                detail,
            )
        )
    return rows


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """What each schedule needs, and what members trained otherwise are worth alone and together."""
    curves = _curves(data_folder)
    single = curves[curves.groupby("experiment")["member"].transform("nunique") == 1]
    _draw(single)
    needed = images_needed(single)
    ends = single.groupby("experiment").agg(
        images=("images", "max"), validation_rmse_px=("validation_rmse_px", "min")
    )
    ends["images to the published RMSE"] = needed.map("{:,.0f}".format, "ignore").fillna("not reached")
    ends["of the published images"] = (needed / needed[PUBLISHED]).map("{:.1%}".format, "ignore").fillna("")
    ends = ends.sort_values("validation_rmse_px").rename(columns=lambda name: name.replace("_", " "))
    return {"Fewer passes": ends.reset_index(), "Members alone and together": _members(data_folder)}


def images_needed(curves: pd.DataFrame) -> pd.Series:
    """Images after which each experiment's first member is at the published RMSE; NaN where it never is."""
    first = curves[curves["member"] == 0]
    target_px = first.loc[first["experiment"] == PUBLISHED, "validation_rmse_px"].min()
    reached = first[first["validation_rmse_px"] <= target_px]
    return reached.groupby("experiment")["images"].min().reindex(first["experiment"].unique())


def _curves(data_folder: Path) -> pd.DataFrame:
    """One row an epoch: experiment, member, images seen so far, validation RMSE."""
    histories = {
        (run.name, member): pd.read_csv(run.member(SPECIALIST, member).history)
        for run in _stored_runs(data_folder)
        for member in _finished(run)
    }
    if not histories:
        return _kept(CURVES)
    curves = pd.concat(histories, names=["experiment", "member"]).reset_index(["experiment", "member"])
    curves["experiment"] = curves["experiment"].str.removeprefix("passes-").str.rpartition("-")[0]
    curves["images"] = curves.groupby(["experiment", "member"])["images"].cumsum()
    curves = curves[["experiment", "member", "images", "validation_rmse_px"]].round(4)
    curves.to_csv(CURVES, index=False, lineterminator="\n")
    return curves


def _members(data_folder: Path) -> pd.DataFrame:
    """Of every experiment with several members: their RMSE alone, its spread, and that of their average."""
    rows, training = [], load_data(str(data_folder), lambda line: None).training
    for run in _stored_runs(data_folder):
        if len(members := _finished(run)) < 2:
            continue
        experiment = run.read_experiment()
        validation = read_validation(run, experiment, SPECIALIST, training, members)
        truth_px, predictions_px = validation.truth_px, validation.predictions_px
        alone_px = [rmse_px(prediction, truth_px) for prediction in predictions_px]
        rows.append(
            {
                "experiment": run.name.removeprefix("passes-").rpartition("-")[0],
                "members": len(members),
                "mean RMSE px": round(float(np.mean(alone_px)), 3),
                "standard deviation px": round(float(np.std(alone_px, ddof=1)), 3),
                "RMSE px of the average": round(rmse_px(predictions_px.mean(axis=0), truth_px), 3),
            }
        )
    if not rows:
        return _kept(MEMBERS)
    table = pd.DataFrame(rows)
    table.to_csv(MEMBERS, index=False, lineterminator="\n")
    return table


def _stored_runs(data_folder: Path) -> list[Run]:
    return [
        run
        for run in runs_in(DEFAULT_STORE)
        if run.name.startswith("passes-") and run.name.endswith(f"-{data_folder.name}")
    ]


def _finished(run: Run) -> list[int]:
    return finished_members(run, run.read_experiment(), SPECIALIST)[0]


def _kept(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(
            f"{path}: expected the curves of former trainings, found neither it nor runs in {DEFAULT_STORE}; "
            "train one with: fkd train passes/NAME --data ../shared/data/wild15"
        )
    return pd.read_csv(path)


def _draw(curves: pd.DataFrame) -> None:
    """The best RMSE so far against the images seen, one member an experiment."""
    curves = curves.assign(best_px=curves.groupby("experiment")["validation_rmse_px"].cummin())
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    last_px = curves.groupby("experiment")["best_px"].min().sort_values(ascending=False)
    sns.lineplot(curves, x="images", y="best_px", hue="experiment", hue_order=last_px.index, ax=axes)
    published_px = last_px[PUBLISHED]
    axes.axhline(published_px, color="grey", linestyle=":", label="published, at its early stop")
    axes.set(xscale="log", yscale="log", xlabel="images seen", ylabel="best validation RMSE so far, px")
    axes.set_yticks([2, 3, 4, 6, 8, 12], labels=["2", "3", "4", "6", "8", "12"])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(title=None, frameon=False)
    figure.savefig(FIGURE, dpi=120)
