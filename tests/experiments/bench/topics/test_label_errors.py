"""Counting what was found of planted errors."""

import pandas as pd

from experiments.bench.topics.label_errors import SHOWN, found
from fkd.ensemble.suspect_labels import SuspectLabel


def suspect(row: int) -> SuspectLabel:
    return SuspectLabel(row, 0, (0, 0), (0, 0), 1, 1, True)


def test_errors_are_counted_by_size_among_the_first_and_among_all():
    planted = pd.DataFrame({"row": [1, 2, 3, 4], "point": 0, "distance_px": [6.0, 9.0, 12.0, 20.0]})
    others = [suspect(row) for row in range(100, 100 + SHOWN)]
    table = found(planted, [suspect(4), suspect(1), *others, suspect(2)])
    assert table.to_dict("list") == {
        "error": ["5 to 10 px", "10 to 15 px", "15 to 20 px", "all"],
        "planted": [2, 1, 1, 4],
        f"among the first {SHOWN}": [1, 0, 1, 2],
        "listed": [2, 0, 1, 3],
    }
