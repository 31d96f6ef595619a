"""Errors on another source, with constant offsets taken away, by numbers that can be checked by hand."""

import numpy as np

from experiments.bench.topics.radii import without_offsets


def test_an_offset_is_learnt_on_other_people():
    errors_px = np.array([1.0, 3.0, 8.0])[:, None, None] * np.ones((3, 1, 2))
    persons = np.array([1, 1, 2])
    # Person 2 gives 8 to person 1; person 1 gives 2 to person 2.
    np.testing.assert_array_equal(without_offsets(errors_px, persons)[:, 0, 0], [-7, -5, 6])
