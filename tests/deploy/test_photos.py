"""Faces of whole photos get their points where they are seen; results of many photos stand side by side."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image
from whole_photos import photo_with_faces

from fkd.core.errors import UserError
from fkd.core.keypoints import listed_schema
from fkd.data.face_finder import FIVE_POINTS
from fkd.data.photos import Photo, read_photo
from fkd.deploy.photos import list_photos, predict_photo, predict_photos, predict_squares
from fkd.experiment.store import Run

FACE = (60, 40, 160)  # left, top, side
SQUARE_COLUMNS = ["photo", "face", "left_px", "top_px", "side_px"]


class BrightestPixel:
    """In the place of an ensemble: its one point is the brightest pixel of the face, its spread one pixel.

    Its radius is two pixels. Every second face is doubtful.
    """

    run = Run(Path("store/brightest"))
    experiment = SimpleNamespace(schema_points=listed_schema(("spot", "unknown")))
    chosen: Mapping[str, list[int]] = {"spots": [0, 2]}
    radii = SimpleNamespace(coverage=0.9)

    def predict(
        self, faces: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        points = np.full((len(faces), 2, 2), np.nan)
        spreads = np.full((len(faces), 2), np.nan)
        for i, face in enumerate(faces):
            rows, columns = np.nonzero(face == face.max())
            points[i, 0] = columns.mean(), rows.mean()
        spreads[:, 0] = 1
        return points, spreads

    def radii_px(self, spreads: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return 2 * spreads

    def are_doubtful(self, spreads: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        return np.arange(len(spreads)) % 2 == 1


def spotted_photo(path: Path, spot: tuple[int, int] = (140, 110), **options: object) -> Path:
    """A photo file with one face that shows a white spot, seven pixels wide, at x and y."""
    photo = np.minimum(photo_with_faces((280, 300), [FACE], [0]), 230)
    x, y = spot
    photo[y - 3 : y + 4, x - 3 : x + 4] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo).save(path, **options)
    return path


def blank_photo(path: Path) -> Path:
    Image.new("L", (200, 150), 128).save(path)
    return path


def predict(output: Path, *paths: Path) -> tuple[int, list[str], dict, pd.DataFrame]:
    """How many photos failed, what was said, and the two result files."""
    said: list[str] = []
    failed = predict_photos(BrightestPixel(), list_photos(paths, output)[0], output, said.append)
    assert said.pop() == f"{output}/points.json, {output}/points.csv: written"
    results = json.loads((output / "points.json").read_text())
    return failed, said, results, pd.read_csv(output / "points.csv")


def test_a_point_is_brought_back_to_where_it_is_in_the_photo(tmp_path: Path) -> None:
    (face,) = predict_photo(BrightestPixel(), read_photo(spotted_photo(tmp_path / "a.png")))
    np.testing.assert_allclose(face.points_px[0], (140, 110), atol=1)
    np.testing.assert_allclose(face.square, FACE, atol=0.2 * FACE[2])
    assert np.isnan(face.points_px[1]).all()
    # A pixel of the face's 96 is a side's 96th part in the photo.
    np.testing.assert_allclose(face.spread_px, [face.square.side_px / 96, np.nan])
    np.testing.assert_allclose(face.radius_px, [face.square.side_px / 48, np.nan])


class FivePoints(BrightestPixel):
    """Its points are those of a face that fills the frame, but a tenth of it to the right at first sight."""

    experiment = SimpleNamespace(schema_points=listed_schema(FIVE_POINTS))

    def __init__(self) -> None:
        self.looks = 0

    def predict(
        self, faces: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        # From the mean, which is 0.086 of the frame below its centre, the root mean square is 1 / 3.85 of it.
        directions = np.array([[-1, -1], [1, -1], [0, 0], [-1, 1], [1, 1]]) * np.sqrt(5 / 8)
        mean = 47.5 + (9.6 if self.looks == 0 else 0), 47.5 + 0.086 * 96
        self.looks += 1
        return np.tile(mean + directions * 96 / 3.85, (len(faces), 1, 1)), np.ones((len(faces), 5))


def test_a_face_is_looked_at_again_where_its_points_are() -> None:
    ensemble, photo = FivePoints(), np.zeros((300, 400), np.uint8)
    (face,) = predict_squares(ensemble, Photo(photo, photo), np.array([[100, 80, 150]]))
    assert ensemble.looks == 2
    assert face.square == (115, 80, 150)
    np.testing.assert_allclose(face.points_px[2], (115 + 74.5, 80 + 74.5 + 0.086 * 150))


def test_several_faces_each_have_their_own_points(tmp_path: Path) -> None:
    photo = np.minimum(photo_with_faces((300, 600), [(330, 60, 200), (40, 40, 140)], [0, 1]), 230)
    spots = [(100, 110), (420, 170)]
    for x, y in spots:
        photo[y - 3 : y + 4, x - 3 : x + 4] = 255
    Image.fromarray(photo).save(tmp_path / "two.png")
    faces = predict_photo(BrightestPixel(), read_photo(tmp_path / "two.png"))
    np.testing.assert_allclose([face.points_px[0] for face in faces], spots, atol=1)


def test_points_of_a_turned_photo_are_those_of_the_displayed_one(tmp_path: Path) -> None:
    displayed = Image.open(spotted_photo(tmp_path / "displayed.png"))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    displayed.rotate(90, expand=True).save(tmp_path / "stored.png", exif=exif)
    (face,) = predict_photo(BrightestPixel(), read_photo(tmp_path / "stored.png"))
    np.testing.assert_allclose(face.points_px[0], (140, 110), atol=1)


def test_results_as_files(tmp_path: Path) -> None:
    path = spotted_photo(tmp_path / "a.jpg", quality=95)
    failed, said, results, table = predict(tmp_path / "out", path)
    assert failed == 0
    assert said == [f"{path}: 1 face, {tmp_path / 'out' / 'a-points.jpg'}"]
    (photo,) = results["photos"]
    assert (photo["photo"], photo["width_px"], photo["height_px"]) == (str(path), 300, 280)
    (face,) = photo["faces"]
    (point,) = face["points"]  # the other one is unknown
    assert point["point"] == "spot"
    np.testing.assert_allclose([point["x_px"], point["y_px"]], (140, 110), atol=1)
    assert "as displayed" in results["coordinates"]
    assert results["run"] == str(BrightestPixel.run.path)
    assert results["members"] == {"spots": [0, 2]}
    square = {name: face[name] for name in SQUARE_COLUMNS[2:]}
    assert table.to_dict("records") == [{"photo": str(path), "face": 1, **square, **point}]
    assert read_photo(tmp_path / "out" / photo["picture"]).grey.shape == (280, 300)


def test_no_face_is_reported_and_no_failure(tmp_path: Path) -> None:
    path = blank_photo(tmp_path / "wall.png")
    failed, said, results, table = predict(tmp_path / "out", path)
    assert failed == 0
    assert said == [f"{path}: no face found"]
    assert results["photos"][0]["faces"] == []
    assert results["photos"][0]["picture"] is None
    assert list(table) == [*SQUARE_COLUMNS, "point", "x_px", "y_px", "spread_px", "radius_px"]
    assert len(table) == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["points.csv", "points.json"]


def test_a_damaged_photo_is_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"no picture")
    whole = spotted_photo(tmp_path / "whole.png")
    failed, said, results, table = predict(tmp_path / "out", damaged, whole)
    assert failed == 1
    assert len(said) == 2
    assert "expected a whole picture" in said[0]
    assert results["unreadable"] == [{"photo": str(damaged), "problem": said[0]}]
    assert table["photo"].tolist() == [str(whole)]


def test_photos_of_one_name_get_pictures_of_their_own(tmp_path: Path) -> None:
    paths = [
        spotted_photo(tmp_path / folder / name, spot)
        for folder, name, spot in [
            ("one", "a.png", (140, 110)),
            ("two", "a.png", (132, 110)),
            ("two", "a.bmp", (136, 110)),
            ("three", "A.png", (144, 110)),
            ("two", "a-2.png", (148, 110)),
        ]
    ]
    _, _, results, table = predict(tmp_path / "out", *paths, paths[0])  # the first one again
    pictures = [photo["picture"] for photo in results["photos"]]
    assert pictures == [f"{name}-points.png" for name in ("a", "a-2", "a-3", "A-4", "a-2-2")]
    assert all((tmp_path / "out" / picture).is_file() for picture in pictures)
    np.testing.assert_allclose(table["x_px"], [140, 132, 136, 144, 148], atol=1)


def test_no_photo_is_overwritten(tmp_path: Path) -> None:
    first, second = (spotted_photo(tmp_path / name) for name in ("a.png", "a-points.png"))
    content = second.read_bytes()
    _, _, results, _ = predict(tmp_path, first, second)
    assert second.read_bytes() == content
    assert [photo["picture"] for photo in results["photos"]] == ["a-2-points.png", "a-points-points.png"]


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    path = spotted_photo(tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"\xff.png"))
    failed, said, results, table = predict(tmp_path / "out", path, tmp_path / os.fsdecode(b"\xfe.png"))
    assert failed == 1
    assert all(line.isprintable() for line in said)
    assert table["photo"].tolist() == [results["photos"][0]["photo"]]


def test_a_missing_yunet_model_ends_it(tmp_path: Path) -> None:
    path = spotted_photo(tmp_path / "a.png")
    with pytest.raises(UserError, match="expected a YuNet model"):
        predict_photos(BrightestPixel(), [path], tmp_path / "out", print, tmp_path / "absent.onnx")


def test_a_folder_stands_for_its_photos(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name in ("b.png", "a.JPG", ".hidden.png", "deeper/c.png", "d.png/e.png"):
        spotted_photo(folder / name)
    (folder / "notes.txt").write_text("no photo")
    listed = [folder / "b.png", folder / "a.JPG"]  # in the order given, each once
    film = folder / "c.MP4"
    film.write_text("")
    assert list_photos([folder / "b.png", folder], tmp_path / "out") == (listed, [film])
    film.unlink()
    failed, _, results, _ = predict(tmp_path / "out", folder)
    assert failed == 0
    assert [photo["photo"] for photo in results["photos"]] == [str(path) for path in sorted(listed)]


def test_a_folder_is_not_its_own_output(tmp_path: Path) -> None:
    folder = spotted_photo(tmp_path / "photos/a.png").parent
    with pytest.raises(UserError, match="expected another folder than that of the photos"):
        list_photos([folder], tmp_path / "photos/../photos")


@pytest.mark.skipif(os.name == "nt", reason="pipes and links are others there")
def test_what_an_earlier_call_wrote_stays_where_no_photo_can_be_read(tmp_path: Path) -> None:
    output = tmp_path / "out"
    predict(output, spotted_photo(tmp_path / "a.png"))
    former = {path.name: path.read_bytes() for path in output.iterdir()}
    assert former.keys() == {"a-points.png", "points.json", "points.csv"}
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty").mkdir()
    (tmp_path / "round.jpg").symlink_to("round.jpg")
    for name in ("pipe.jpg", "empty", "round.jpg", "absent.jpg"):
        with pytest.raises(UserError, match="out: no points of photos were written, as none could"):
            predict(output, tmp_path / name)
        with pytest.raises(UserError, match="no points of photos were written"):
            predict(tmp_path / "new", tmp_path / name)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == former
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.name == "nt", reason="links and names are others there")
def test_the_points_of_the_others_are_not_lost(tmp_path: Path) -> None:
    (tmp_path / "round.jpg").symlink_to("round.jpg")
    long = spotted_photo(tmp_path / f"{'x' * 240}.png")  # so is its picture's name, too long
    whole = spotted_photo(tmp_path / "whole.png")
    failed, said, results, table = predict(tmp_path / "out", tmp_path / "round.jpg", long, whole)
    assert failed == 2
    assert "symbolic links" in said[0]
    assert "File name too long" in said[1]
    assert [photo["picture"] for photo in results["photos"]] == [None, "whole-points.png"]
    assert table["photo"].tolist() == [str(long), str(whole)]


def test_a_picture_that_no_jpeg_can_hold_is_a_png(tmp_path: Path) -> None:
    wide = Image.new("L", (65_501, 300))
    wide.paste(Image.open(spotted_photo(tmp_path / "a.png")))
    wide.crop((0, 0, 65_501, 280)).save(tmp_path / "wide.jpg", "PNG")
    with pytest.MonkeyPatch.context() as patched:
        square = np.array([FACE])  # of 65,501 pixels the finder looks for larger faces
        patched.setattr("fkd.deploy.photos.find_faces_in_photo", lambda *_: square)
        _, _, results, _ = predict(tmp_path / "out", tmp_path / "wide.jpg")
    assert results["photos"][0]["picture"] == "wide-points.png"
    assert read_photo(tmp_path / "out/wide-points.png").grey.shape == (280, 65_501)


def test_an_output_that_is_no_folder_is_said_before_a_photo_is_predicted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", tmp_path / "file/out", tmp_path / ("y" * 300)):
        with pytest.raises(UserError, match=r"^--output .*expected a folder for the results"):
            predict_photos(BrightestPixel(), [spotted_photo(tmp_path / "a.png")], output, print)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="such names are not possible there")
def test_names_of_several_lines_are_said_on_one(tmp_path: Path) -> None:
    names = ["two\nlines", "re\rturn", "\x1b[31mred", "para\u2029graph", "ä\u202fö"]
    paths = [spotted_photo(tmp_path / f"{name}.png") for name in names]
    _, said, _, table = predict(tmp_path / "out", *paths, tmp_path / "new\nabsent.png")
    assert len(said) == 6
    assert all(len(line.splitlines()) == 1 and "\x1b" not in line for line in said)
    assert table["photo"].map(lambda name: Path(name).name).tolist() == [
        *("two\\nlines.png", "re\\rturn.png", "\\x1b[31mred.png", "para\\u2029graph.png", "ä\u202fö.png")
    ]
