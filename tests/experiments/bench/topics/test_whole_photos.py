"""Which of the faces that are found is the labelled one, by numbers that can be checked by hand."""

import numpy as np

from experiments.bench.topics.whole_photos import matching_face

TRUTH_PX = np.array([[60.0, 50.0], [40.0, 50.0], [50.0, 80.0]])  # 20 px between the eyes
NEAR_PX, FURTHER_PX = np.array([0, 4]), np.array([6, 0])


def test_the_face_nearest_to_the_labels_is_taken():
    faces_px = np.stack([TRUTH_PX + 90, TRUTH_PX + FURTHER_PX, TRUTH_PX + NEAR_PX])
    np.testing.assert_array_equal(matching_face(faces_px, TRUTH_PX), TRUTH_PX + NEAR_PX)


def test_a_face_elsewhere_is_not_the_labelled_one():
    assert np.isnan(matching_face(TRUTH_PX[None] + [11, 0], TRUTH_PX)).all()
    assert np.isnan(matching_face(np.empty((0, 3, 2)), TRUTH_PX)).all()
