"""Wrong labels: as many as asked for, of the sizes asked for, and no other label is touched."""

from pathlib import Path

import numpy as np

from experiments.bench.subjects.planted_errors import planted_errors, write_with_errors
from fkd.data.source import load_data


def test_the_labels_that_were_asked_for_are_moved_and_no_others(faces_folder: Path, tmp_path: Path):
    faces = load_data(str(faces_folder), lambda line: None)
    planted = planted_errors(faces, 9)
    write_with_errors(faces_folder, tmp_path / "planted", planted)
    wrong = load_data(str(tmp_path / "planted"), lambda line: None)
    away_px = np.linalg.norm(wrong.training.keypoints - faces.training.keypoints, axis=2)
    moved = np.argwhere(away_px > 0)
    assert moved.tolist() == sorted(planted[["row", "point"]].to_numpy().tolist())
    sizes_px = away_px[tuple(planted[["row", "point"]].to_numpy().T)]
    np.testing.assert_allclose(sizes_px, planted["distance_px"], atol=1e-3)
    assert planted["distance_px"].between(5, 20).all()
    np.testing.assert_array_equal(wrong.training.images, faces.training.images)
    np.testing.assert_array_equal(wrong.groups, faces.groups)
