"""Constant offsets taken away, by numbers that can be checked by hand."""

import numpy as np

from experiments.bench.subjects.face_sets import without_kinds_offsets


def test_what_is_always_wrong_of_a_kind_is_learnt_on_other_faces():
    learnt_px = np.array([1.0, 3.0, 10.0, np.nan])[:, None, None] * np.ones((4, 1, 2))
    errors_px = np.array([5.0, 5.0])[:, None, None] * np.ones((2, 1, 2))
    corrected_px = without_kinds_offsets(errors_px, np.array([1, 0]), learnt_px, np.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(corrected_px[:, 0, 0], [5 - 10, 5 - 2])
