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


def test_labels_further_than_five_medians_are_listed_the_furthest_first() -> None:
    truth_px = np.zeros((9, 3, 2))
    predictions_px = np.zeros((9, 3, 2))
    predictions_px[:, 0, 0] = 1  # one pixel is what this point is usually wrong by
    predictions_px[3, 0] = 3, 4
    predictions_px[7, 0] = 6, 8
    predictions_px[:, 1, 1] = 2
    predictions_px[5, 1, 1] = 11
    truth_px[:, 2] = np.nan  # labelled nowhere
    table = label_outliers(predictions_px, truth_px)
    assert table.to_dict("list") == {
        "row": [7, 5],
        "point": [0, 1],
        "distance_px": [10, 11],
        "medians": [10, 5.5],
    }


def test_the_list_names_rows_of_the_data_and_keypoints(tmp_path: Path, experiment: Experiment) -> None:
    keypoints = np.full((20, 15, 2), 40, np.float32)
    faces = Faces(np.zeros((20, 96, 96), np.uint8), keypoints, np.arange(20))
    data = FaceData("faces", "c" * 64, KAGGLE15.names, faces, faces, None, pd.DataFrame(), None)
    run, rows = Run(tmp_path), [2, 3, 5, 7, 11]
    folder = run.member("four", 0)
    folder.path.mkdir(parents=True)
    atomic_write_json(run.split("four"), {"training": [0], "validation": rows, "validation_groups": rows})
    predictions_px = np.full((5, 4, 2), 41, np.float32)
    predictions_px[3, 2] = 40, 60  # the nose tip of row 7
    np.save(folder.validation, predictions_px)
    worth = Estimate(1.0, None)
    report = SelectionReport("four", "all", (MemberScore(0, 1.0, 1),), (0,), worth, worth, worth)
    validation = read_validation(run, experiment, "four", faces, members=[0])
    assert list_label_outliers(run, {"four": validation}, data, [report]) == 1
    assert run.label_outliers.read_text() == (
        "row,keypoint,distance_px,medians,x_px,y_px,predicted_x_px,predicted_y_px\n"
        "7,nose_tip,20.00,14.14,40.00,40.00,40.00,60.00\n"
    )
