"""Label outliers, by distances that can be checked by hand."""

from pathlib import Path

import numpy as np
import pandas as pd

from fkd.core.files import atomic_write_json
from fkd.core.keypoints import KAGGLE15
from fkd.data.faces import FaceData, Faces
from fkd.ensemble.label_outliers import label_outliers, list_label_outliers
from fkd.ensemble.selection import Estimate, MemberScore, SelectionReport
from fkd.ensemble.validation import read_validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run


def test_labels_further_than_two_radii_are_listed_the_furthest_first() -> None:
    truth_px = np.zeros((9, 3, 2))
    predictions_px = np.zeros((9, 3, 2))
    predictions_px[3, 0] = 3, 4
    predictions_px[7, 0] = 6, 8
    predictions_px[5, 1, 1] = 11
    truth_px[:, 2] = np.nan  # labelled nowhere
    radii_px = np.tile([2.5, 5.0, 1.0], (9, 1))
    radii_px[4] = np.nan
    table = label_outliers(predictions_px, truth_px, radii_px)
    assert table.to_dict("list") == {
        "row": [7, 5],
        "point": [0, 1],
        "distance_px": [10, 11],
        "radii": [4, 2.2],
        "x_px": [0, 0],
        "y_px": [0, 0],
        "predicted_x_px": [6, 0],
        "predicted_y_px": [8, 11],
    }


def test_the_list_names_rows_of_the_data_and_keypoints(tmp_path: Path, experiment: Experiment) -> None:
    keypoints = np.full((60, 15, 2), 40, np.float32)
    faces = Faces(np.zeros((60, 96, 96), np.uint8), keypoints, np.arange(60))
    data = FaceData("faces", "c" * 64, KAGGLE15.names, faces, faces, None, pd.DataFrame(), None)
    run, rows = Run(tmp_path), list(range(5, 55))
    folder = run.member("four", 0)
    folder.path.mkdir(parents=True)
    atomic_write_json(run.split("four"), {"training": [0], "validation": rows, "validation_groups": rows})
    predictions_px = np.full((50, 4, 2), 40, np.float32)
    predictions_px[..., 0] = 41  # so that every radius is one pixel
    predictions_px[2, 2] = 40, 60  # the nose tip of row 7
    np.save(folder.validation, predictions_px)
    worth = Estimate(1.0, None)
    report = SelectionReport("four", "best", (MemberScore(0, 1.0, 1),), (0,), worth, worth, worth)
    validation = read_validation(run, experiment, "four", faces, members=[0])
    assert list_label_outliers(run, {"four": validation}, data, [report]) == 1
    assert run.label_outliers.read_text() == (
        "row,keypoint,distance_px,radii,x_px,y_px,predicted_x_px,predicted_y_px\n"
        "7,nose_tip,20.00,20.00,40.00,40.00,40.00,60.00\n"
    )
