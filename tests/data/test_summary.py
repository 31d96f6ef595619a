import dataclasses
from pathlib import Path

import numpy as np
from competition_files import Table, write_competition
from labelled_photos import write_imm

from fkd.core.keypoints import IMM73, listed_schema
from fkd.data.kaggle_csv import find_files, read_files
from fkd.data.labelled_photos import find_asf_files, read_asf_files
from fkd.data.summary import summarise


def take_labels_away(tables: dict[str, Table]) -> None:
    """Face 1 has the four points only, face 2 no nose tip and a point that is beside and below the frame."""
    header, _, second, third = tables["training"]
    four = ("left_eye_center", "right_eye_center", "nose_tip", "mouth_center_bottom_lip")
    for place, column in enumerate(header[:-1]):
        if not column.startswith(four):
            second[place] = ""
    third[header.index("nose_tip_x")] = third[header.index("nose_tip_y")] = ""
    third[0], third[1], third[2] = "-0.6", "95.6", "95.5"


def test_summary_counts_faces_labels_and_values_asked_for(tmp_path: Path) -> None:
    data = read_files("tiny", "abc", find_files(write_competition(tmp_path, take_labels_away)), print)
    lines = [" ".join(line.split()) for line in summarise(data)]
    assert lines[:5] == [
        "tiny: 3 training faces, 2 test images",
        "training faces with all 15 points of 'all': 1",
        "training faces with all 4 points of 'four': 2",
        "training faces with all 11 points of 'eleven': 2",
        "labels by point:",
    ]
    assert "nose_tip 2" in lines
    assert "mouth_left_corner 2" in lines
    assert "left_eye_center 3" in lines
    assert lines[-5:] == [
        "points labelled outside the frame (they are kept): 1",
        "38 values to submit (images x values): 1 x 8, 1 x 30",
        "hidden labels: available",
        "groups of one person or photo: 2",
        "SHA-256 of the files: abc",
    ]
    bare = summarise(dataclasses.replace(data, groups=None, solution=None))
    assert "none" in bare[-3]
    assert "unknown" in bare[-2]


def test_photos_without_a_test_set_in_words(tmp_path: Path) -> None:
    files = find_asf_files(write_imm(tmp_path))
    assert summarise(read_asf_files("imm", "abc", files, print, IMM73)) == [
        "imm: 3 training faces, 0 test images",
        "  training faces with all 73 points of 'all': 3",
        "  points labelled outside the frame (they are kept): 0",
        "  groups of one person or photo: 2",
        "  SHA-256 of the files: abc",
    ]


def test_listed_points_in_words(tmp_path: Path) -> None:
    files = find_asf_files(write_imm(tmp_path))
    data = read_asf_files("imm", "abc", files, print, listed_schema(("chin", "nose_tip")))
    data.training.keypoints[0, 1] = np.nan
    assert summarise(data)[1:5] == [
        "  training faces with all 2 points of 'all': 2",
        "  labels by point:",
        "    chin           3",
        "    nose_tip       2",
    ]
