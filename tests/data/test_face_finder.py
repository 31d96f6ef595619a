"""Faces in whole photos, framed as the training's."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from whole_photos import GREY, photo_with_faces

from fkd.core.errors import UserError
from fkd.data.face_finder import find_faces_in_photo, frame_anew

# Eyes, nose tip and mouth corners of a face in pixels. Their mean is (120, 100); their squared distances
# from it are 800, 800, 0, 625 and 625: root mean square 23.87, so the frame is 3.85 times that, 91.9 pixels
# wide, and its centre stands 0.086 of that, 7.9 pixels, above the mean.
FIVE_POINTS = [[100, 80], [140, 80], [120, 100], [105, 120], [135, 120]]
FRAME = [74, 47, 92]


def write_yunet(path: Path, side_px: int, points_px: npt.NDArray[np.floating], outputs_end: str = "") -> Path:
    """An ONNX file with YuNet's inputs and outputs that finds one face in every picture of that side."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no YuNet model can be made")
    make, constant = onnx.helper, onnx.numpy_helper.from_array
    column, row = (points_px.mean(axis=0) // 8).astype(int)
    cell = row * (side_px // 8) + column
    # Of the cell's corner, in cells of 8 pixels; a box's size is given as its logarithm.
    values = {
        "cls": [0.9],
        "obj": [1.0],
        "bbox": [0.5, 0.5, np.log(10), np.log(10)],
        "kps": (points_px / 8 - [column, row]).ravel(),
    }
    # The outputs must depend on the input, if only by nothing.
    nodes = [
        make.make_node("GlobalAveragePool", ["input"], ["greys"]),
        make.make_node("Mul", ["greys", "zero"], ["zeros"]),
        make.make_node("ReduceSum", ["zeros", "axes"], ["nothing"], keepdims=0),
    ]
    constants = [constant(np.zeros(1, np.float32), "zero"), constant(np.array([1, 2, 3]), "axes")]
    outputs = []
    for kind, value in values.items():
        for stride in (8, 16, 32):
            cells = np.zeros((1, (side_px // stride) ** 2, len(value)), np.float32)
            if stride == 8:
                cells[0, cell] = value
            name = f"{kind}_{stride}{outputs_end}"
            constants.append(constant(cells, f"{name}_value"))
            nodes.append(make.make_node("Add", [f"{name}_value", "nothing"], [name]))
            outputs.append(make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, cells.shape))
    image = make.make_tensor_value_info("input", onnx.TensorProto.FLOAT, (1, 3, side_px, side_px))
    graph = make.make_graph(nodes, "yunet", [image], outputs, constants)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_every_face_is_framed_as_it_was_drawn_from_left_to_right() -> None:
    drawn = [(60, 200, 160), (300, 40, 110), (480, 180, 240)]
    found = find_faces_in_photo(photo_with_faces((480, 800), drawn, [2, 0, 1]))
    assert found.shape == (3, 3)
    for (left, top, side), (drawn_left, drawn_top, drawn_side) in zip(found, drawn, strict=True):
        assert abs(side / drawn_side - 1) < 0.25
        assert abs(left + side / 2 - drawn_left - drawn_side / 2) < 0.12 * drawn_side
        assert abs(top + side / 2 - drawn_top - drawn_side / 2) < 0.12 * drawn_side


def test_a_face_is_found_in_a_photo_however_large() -> None:
    (left, top, side) = drawn = (2000, 900, 900)
    (found,) = find_faces_in_photo(photo_with_faces((3000, 4000), [drawn], [0]))
    np.testing.assert_allclose(found, [left, top, side], atol=0.2 * side)


@pytest.mark.parametrize("shape", [(300, 400), (1, 1), (5, 2000)])
def test_no_face_gives_no_square(shape: tuple[int, int]) -> None:
    assert find_faces_in_photo(np.full(shape, GREY, np.uint8)).shape == (0, 3)


def test_yunets_five_points_make_the_frame(tmp_path: Path) -> None:
    model = write_yunet(tmp_path / "yunet.onnx", 320, np.array(FIVE_POINTS))
    np.testing.assert_array_equal(find_faces_in_photo(np.zeros((320, 320), np.uint8), model), [FRAME])


def test_yunet_sees_a_large_photo_shrunk(tmp_path: Path) -> None:
    # 2560 pixels are shrunk to 1280; there the face lies where it lay above, so here it is twice as large.
    model = write_yunet(tmp_path / "yunet.onnx", 1280, np.array(FIVE_POINTS))
    found = find_faces_in_photo(np.zeros((2560, 2560), np.uint8), model)
    np.testing.assert_allclose(found, [np.array(FRAME) * 2], atol=1)


def test_a_face_is_framed_anew_by_its_points() -> None:
    found, elsewhere, larger = [80, 50, 100], [150, 47, 92], [40, 10, 170]
    squares = np.array([found, elsewhere, larger])
    points_px = np.repeat(np.array([FIVE_POINTS], np.float64), 3, axis=0)
    # 76 px to the side is more than 0.3 of 92, and 92 less than 0.6 of 170: there the points are no face's.
    np.testing.assert_array_equal(frame_anew(squares, points_px), [FRAME, elsewhere, larger])


def test_without_points_a_face_keeps_its_frame() -> None:
    np.testing.assert_array_equal(frame_anew(np.array([FRAME]), np.full((1, 5, 2), np.nan)), [FRAME])


@pytest.mark.parametrize("content", [None, b"", b"no model", b"another"])
def test_no_yunet_model_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    model = tmp_path / "yunet.onnx"
    if content == b"another":
        write_yunet(model, 320, np.array(FIVE_POINTS), "_of_another_network")
    elif content is not None:
        model.write_bytes(content)
    with pytest.raises(UserError, match=r"yunet\.onnx: expected a YuNet model") as raised:
        find_faces_in_photo(np.zeros((320, 320), np.uint8), model)
    assert "\n" not in str(raised.value)


def test_an_opencv_without_cascades_is_one_line(monkeypatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier")  # as OpenCV 5 is
    with pytest.raises(UserError, match="or give fkd predict a --yunet model"):
        find_faces_in_photo(np.zeros((50, 50), np.uint8))
