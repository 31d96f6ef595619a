import numpy as np

from fkd.data.faces import Faces


def test_faces_are_taken_by_their_positions_in_the_order_asked_for():
    keypoints = np.arange(3, dtype=np.float32).reshape(3, 1, 1) * np.ones((1, 2, 2), np.float32)
    faces = Faces(np.full((3, 4, 4), [[[0]], [[1]], [[2]]], np.uint8), keypoints, np.array([70, 71, 72]))
    taken = faces.take(np.array([2, 0, 2]))
    assert taken.ids.tolist() == [72, 70, 72]
    assert taken.images[:, 0, 0].tolist() == [2, 0, 2]
    assert taken.keypoints[:, 1, 1].tolist() == [2, 0, 2]
