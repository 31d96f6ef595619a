import dataclasses
from pathlib import Path

from competition_files import Table, write_competition

from fkd.data.kaggle_csv import find_files, read_files
from fkd.data.summary import summarise


def take_labels_away(tables: dict[str, Table]) -> None:
    """Face 1 has the four points only, face 2 has no nose tip and two coordinates outside the frame."""
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
        "1 training faces have all 15 points of 'all'",
        "2 training faces have all 4 points of 'four'",
        "2 training faces have all 11 points of 'eleven'",
        "labels by point:",
    ]
    assert "nose_tip 2" in lines
    assert "mouth_left_corner 2" in lines
    assert "left_eye_center 3" in lines
    assert lines[-5:] == [
        "2 coordinates lie outside the frame (they are kept)",
        "38 values to submit: 1 images ask for 8, 1 images ask for 30",
        "groups of one person or photo: 2",
        "hidden labels: at hand",
        "SHA-256 of the files: abc",
    ]
    bare = summarise(dataclasses.replace(data, groups=None, solution=None))
    assert "unknown" in bare[-3]
    assert "none" in bare[-2]
