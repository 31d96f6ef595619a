import numpy as np

from fkd.ensemble.folds import fifths, halves


def test_halves_are_whole_groups_of_nearly_equal_rows() -> None:
    # Rows 0, 2 and 4 form the largest group, the two others together balance it.
    found = [(fit.tolist(), rows.tolist()) for fit, rows in halves(np.array([7, 6, 7, 5, 7, 6]))]
    assert found == [([0, 2, 4], [1, 3, 5]), ([1, 3, 5], [0, 2, 4])]


def test_fifths_are_whole_groups_and_every_row_is_scored_once() -> None:
    groups = np.repeat(np.arange(12), 3)
    folds = fifths(groups)
    assert len(folds) == 5
    assert sorted(np.concatenate([rows for _, rows in folds])) == list(range(36))
    assert all(not set(groups[fit]) & set(groups[rows]) for fit, rows in folds)


def test_fewer_groups_are_fewer_parts_and_one_is_none() -> None:
    assert len(fifths(np.array([1, 1, 2, 3]))) == 3
    assert halves(np.array([4, 4])) == fifths(np.array([4, 4])) == []
