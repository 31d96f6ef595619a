"""What a comparison's YAML file says: the budget that is put over every experiment, and tables of rows."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from fkd.core.errors import UserError
from fkd.experiment.experiment import Experiment
from fkd.experiment.prediction import Prediction
from fkd.experiment.settings import Settings, read_settings, validated
from fkd.experiment.store import DEFAULT_STORE
from fkd.runs.request import Request

Measure = Literal[
    "rmse_px",
    "rmse_error_px",
    "behind_first_px",
    "behind_first_error_px",
    "competition_px",
    "alone_rmse_px",
    "alone_spread_px",
    "mae_px",
    "mae_sum",
    "loss",
    "validation_loss",
    "minutes",
]


class Row(Settings):
    """One line of a table: a system, the experiment that trains it and how its members are used.

    specialists: those that the row is about, all where none is named. members: how they are put together;
    all are averaged where the row has a `prediction` of its own. settings: put over the experiment beside
    the budget. published: its figures elsewhere. remark: what follows from the row, in words.
    """

    system: str
    experiment: str
    specialists: tuple[str, ...] = ()
    members: Literal["best", "all", "chosen"] = "best"
    prediction: Prediction = Prediction()
    settings: tuple[str, ...] = ()
    published: str = ""
    remark: str = ""

    def part_of(self, experiment: Experiment) -> Experiment:
        """The experiment with the row's specialists alone; raises UserError where it lacks one of them."""
        if lacking := [name for name in self.specialists if name not in experiment.specialists]:
            raise UserError(
                f"{self.system}: expected specialists of {experiment.name} "
                f"({', '.join(experiment.specialists)}), received {lacking[0]}"
            )
        named = self.specialists or tuple(experiment.specialists)
        return experiment.model_copy(
            update={"specialists": {name: experiment.specialists[name] for name in named}}
        )


class Table(Settings):
    """Systems that learn from the same data."""

    title: str
    data: str
    measures: tuple[Measure, ...] = ("rmse_px",)
    rows: tuple[Row, ...] = Field(min_length=1)


class Comparison(Settings):
    """What `fkd compare` trains and shows; `budget` is put over every experiment, `store` keeps its runs."""

    budget: tuple[str, ...] = ()
    store: str = f"{DEFAULT_STORE}/comparison"
    tables: tuple[Table, ...]

    def requests(self, store: Path | None) -> dict[Table, dict[Row, Request]]:
        """What each row's run is asked for with, by table; store: None for the file's."""
        return {
            table: {
                row: Request(
                    row.experiment, table.data, (*self.budget, *row.settings), str(store or self.store)
                )
                for row in table.rows
            }
            for table in self.tables
        }

    def to_train(self, store: Path | None, only: Collection[str] = ()) -> list[Request]:
        """All runs, or those of the experiments `only`, each once: a run may have several rows."""
        asked_for = (request for rows in self.requests(store).values() for request in rows.values())
        return list(dict.fromkeys(one for one in asked_for if not only or one.experiment in only))


def load_comparison(path: Path, only: Sequence[str] = ()) -> Comparison:
    """Read a comparison file of which the experiments `only` are wanted.

    Raises UserError, naming the file and the setting, where it is wrong, and where it lacks one of `only`.
    """
    comparison = validated(Comparison, read_settings(path), str(path))
    names = {row.experiment for table in comparison.tables for row in table.rows}
    if missing := sorted(set(only) - names):
        raise UserError(
            f"{path}: expected experiments among its rows, received {', '.join(missing)}; "
            f"it has {', '.join(sorted(names))}"
        )
    return comparison
