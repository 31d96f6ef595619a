import numpy as np

from fkd.training.test_time_augmentation import unwarp_points, view_matrices, warp_faces


def test_the_first_view_is_the_face_as_it_is():
    faces = np.random.default_rng(0).integers(0, 256, (2, 96, 96), np.uint8)
    points = np.array([[[10.0, 20.0], [95.0, 0.0]]])
    (matrix,) = view_matrices(1)
    np.testing.assert_array_equal(warp_faces(faces, matrix), faces)
    np.testing.assert_array_equal(unwarp_points(points, matrix), points)


def test_views_are_all_different_little_changes_and_more_begin_with_the_same():
    matrices = view_matrices(16)
    np.testing.assert_array_equal(view_matrices(4), matrices[:4])
    assert len({matrix.tobytes() for matrix in matrices}) == 16
    for matrix in matrices:
        scale = np.sqrt(np.linalg.det(matrix[:, :2]))
        degrees = np.rad2deg(np.arctan2(matrix[0, 1], matrix[0, 0]))
        shift_px = matrix @ (47.5, 47.5, 1) - 47.5
        assert 0.88 <= scale <= 1.12
        assert abs(degrees) <= 12
        assert (np.abs(shift_px) <= 4).all()


def test_a_dot_is_found_where_it_was():
    face = np.zeros((1, 96, 96), np.uint8)
    face[0, 38:43, 58:63] = 255  # its middle is (60, 40)
    rows, columns = np.indices((96, 96))
    for matrix in view_matrices(8):
        view = warp_faces(face, matrix)[0].astype(float)
        middle = np.array([[[(view * columns).sum(), (view * rows).sum()]]]) / view.sum()
        np.testing.assert_allclose(unwarp_points(middle, matrix)[0, 0], [60, 40], atol=0.1)
