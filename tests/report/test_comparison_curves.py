"""Learning curves, whose figures outlive the store that they come from."""

from pathlib import Path

import pandas as pd
import pytest
from small_run import FACTORS, small_faces, write_done, write_history, write_run

from fkd.core.errors import UserError
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run
from fkd.report.comparison_curves import learning_curves, write_curves
from fkd.report.comparison_file import Comparison, Row, Table


def _runs(store: Path, **factors: object) -> dict[Row, tuple[Experiment, Run]]:
    run = write_run(store, small_faces(), factors or FACTORS)
    return {Row(system="whole", experiment="tiny"): (run.read_experiment(), run)}


def test_the_best_error_so_far_falls_with_the_images_seen(tmp_path: Path):
    runs = _runs(tmp_path)  # two members and one, of three epochs of eight images: 6, 4 and 5 px
    ((_, run),) = runs.values()
    write_history(run.member("four", 1), [6.0, 2.0, 5.0])
    write_done(run.member("four", 1))
    again = Row(system="the same run read otherwise", experiment="tiny")
    curves = learning_curves(runs | {again: next(iter(runs.values()))})
    assert curves.to_dict("list") == {
        "system": ["whole: four"] * 3 + ["whole: eleven"] * 3,
        "images": [8, 16, 24] * 2,
        "best_rmse_px": [6, 3, 3, 6, 4, 4],
    }


def test_a_run_that_is_not_finished_has_no_curve(tmp_path: Path):
    assert learning_curves(_runs(tmp_path, four=(1.0, None), eleven=(1.0,))).empty


def _curves(system: str, *best_px: float) -> pd.DataFrame:
    images = range(100, 100 * len(best_px) + 1, 100)
    return pd.DataFrame({"system": system, "images": images, "best_rmse_px": best_px})


def _comparison(**systems: str) -> Comparison:
    """Tables by their titles, each letter a system."""
    tables = [
        Table(title=title, data="d", rows=[Row(system=name, experiment=name) for name in names])
        for title, names in systems.items()
    ]
    return Comparison(tables=tables)


def test_curves_are_kept_where_their_runs_are_not(tmp_path: Path):
    file, rows, said = tmp_path / "c.yaml", _comparison(t="ab", u="c"), list[str]()
    none = _curves("none")
    write_curves(file, rows, {"t": none}, said.append)
    assert list(tmp_path.iterdir()) == said == []
    of_t = pd.concat([_curves("a: four", 3, 2), _curves("b", 5)])
    write_curves(file, rows, {"t": of_t, "u": _curves("c", 1)}, said.append)
    assert (tmp_path / "c-curves.png").read_bytes().startswith(b"\x89PNG")
    before = (tmp_path / "c-curves.csv").read_bytes()
    write_curves(file, rows, {}, said.append)  # on a machine without the data
    write_curves(file, rows, {"t": none, "u": none}, said.append)
    assert (tmp_path / "c-curves.csv").read_bytes() == before
    write_curves(file, rows, {"t": _curves("b", 4), "u": none}, said.append)
    assert (tmp_path / "c-curves.csv").read_text() == (
        "table,system,images,best_rmse_px\n"
        "t,a: four,100,3.0000\nt,a: four,200,2.0000\nt,b,100,4.0000\nu,c,100,1.0000\n"
    )


def test_curves_go_with_their_rows(tmp_path: Path):
    file = tmp_path / "c.yaml"
    write_curves(file, _comparison(t="ab"), {"t": pd.concat([_curves("a", 3), _curves("b", 5)])}, print)
    write_curves(file, _comparison(t="b", u="a"), {}, print)
    assert pd.read_csv(tmp_path / "c-curves.csv")["system"].tolist() == ["b"]


def test_a_damaged_csv_is_one_clear_line(tmp_path: Path):
    (tmp_path / "c-curves.csv").write_text("system\na\n")
    with pytest.raises(UserError, match=r"c-curves\.csv: expected the CSV that compare writes, [^\n]*$"):
        write_curves(tmp_path / "c.yaml", _comparison(t="a"), {"t": _curves("a", 1)}, print)
