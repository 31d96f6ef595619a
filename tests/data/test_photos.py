"""Photos of all kinds become what a viewer shows."""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fkd.core.errors import UserError
from fkd.data.photos import read_photo

# Red, green / blue, white; grey values by ITU-R 601: 76, 150 / 29, 255.
COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
GREYS = np.array([[76, 150], [29, 255]], np.uint8)


def one_line(path: Path) -> str:
    """The message of the error that reading raises."""
    with pytest.raises(UserError) as raised:
        read_photo(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


def png_header(width: int, height: int) -> bytes:
    """A PNG file that says how large it is and holds no pixels."""
    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", size) + png_chunk(b"IDAT", b"")


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Length, name, content and checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tiff"])
def test_colours_and_their_greys(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(COLOURS).save(path, lossless=True)
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.rgb, COLOURS)
    np.testing.assert_array_equal(photo.grey, GREYS)


@pytest.mark.parametrize(("mode", "grey"), [("L", GREYS), ("1", [[0, 255], [0, 255]])])
def test_a_grey_picture(tmp_path: Path, mode: str, grey: npt.NDArray[np.uint8]) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(GREYS).convert(mode, dither=Image.Dither.NONE).save(path)
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.grey, grey)
    np.testing.assert_array_equal(photo.rgb[..., 1], grey)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    alpha = np.array([[255, 0], [255, 0]], np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(np.dstack([COLOURS, alpha])).save(path)
    expected = COLOURS.copy()
    expected[:, 1] = 255
    np.testing.assert_array_equal(read_photo(path).rgb, expected)


@pytest.mark.parametrize("channels", ["grey", "colour", "alpha"])
def test_16_bits_become_8(tmp_path: Path, channels: str) -> None:
    path = tmp_path / "photo.png"
    greys = GREYS.astype(np.uint16) * 257
    alpha = np.full((2, 2), 65535, np.uint16)
    colours = COLOURS[..., ::-1].astype(np.uint16) * 257  # OpenCV writes BGR
    cv2.imwrite(str(path), {"grey": greys, "colour": colours, "alpha": np.dstack([colours, alpha])}[channels])
    np.testing.assert_array_equal(read_photo(path).grey, GREYS)


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    path = tmp_path / "photo.gif"
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    picture.save(path, transparency=1)
    np.testing.assert_array_equal(read_photo(path).rgb, [[[255, 0, 0], [255, 255, 255]]])


# What turns the stored picture into the displayed one, by the EXIF standard's numbers.
TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_photos_are_turned_as_displayed(tmp_path: Path, orientation: int) -> None:
    stored = np.array([[10, 60, 110], [160, 210, 250]], np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.png"
    Image.fromarray(stored).save(path, exif=exif)
    np.testing.assert_array_equal(read_photo(path).grey, TURNS[orientation](stored))


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)).save(whole)
    content = whole.read_bytes()
    damages = {"empty": b"", "text": b"no picture at all", "cut": content[:1000], "header": png_header(9, 9)}
    for name, damage in damages.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(damage)
        assert "expected a whole picture" in one_line(path)
    assert "no such file" in one_line(tmp_path / "absent.jpg")
    assert "a folder in which none is found" in one_line(tmp_path)


@pytest.mark.parametrize("kind", ["jpg", "png", "tiff", "gif", "webp", "bmp"])
def test_a_file_cut_anywhere_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    whole = tmp_path / f"whole.{kind}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(whole)
    content, path = whole.read_bytes(), tmp_path / f"cut.{kind}"
    refused = 0
    for length in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:length])
        try:
            assert read_photo(path).grey.shape == (16, 16)
        except UserError:
            refused += 1
    assert refused >= 10


@pytest.mark.parametrize("size", [(8000, 5001), (40_000_001, 1), (30000, 30000), (2**31 - 1, 2**31 - 1)])
def test_more_than_40_megapixels_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(*size))  # that has no pixels to decode
    assert "at most 40 megapixels" in one_line(path)


def test_40_megapixels_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png_header(8000, 5000))
    assert "expected a whole picture" in one_line(path)


def test_floating_point_pictures_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.tiff"
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(path)
    assert "expected a whole picture" in one_line(path)


@pytest.mark.skipif(os.name == "nt", reason="pipes and links are others there")
def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")  # whoever opens it waits for a writer
    (tmp_path / "round.jpg").symlink_to("round.jpg")
    assert "a pipe or a device" in one_line(tmp_path / "pipe.jpg")
    assert "a pipe or a device" in one_line(Path("/dev/zero"))
    assert "symbolic links" in one_line(tmp_path / "round.jpg")
    assert "name too long" in one_line(tmp_path / ("x" * 300 + ".jpg"))


def progressive_jpeg(passes: int) -> bytes:
    """A grey JPEG of 16 x 16 pixels whose last pass over them stands there again and again."""
    stream = io.BytesIO()
    Image.new("L", (16, 16)).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    first, end = content.count(b"\xff\xda"), content[-2:]
    last = content[content.rfind(b"\xff\xc4") : -2]  # its table and its bits
    return content[:-2] + last * (passes - first) + end


def test_a_jpeg_of_endless_passes_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(progressive_jpeg(101))
    assert "more than 100 passes" in one_line(path)
    path.write_bytes(progressive_jpeg(100) + b"\xff\xda" * 100)  # what follows the end is no pass
    assert read_photo(path).grey.shape == (16, 16)


def tiff_header(width: int, height: int, tile_width: int, tile_height: int) -> bytes:
    """A grey TIFF file in tiles that says how large it and they are and holds no pixels."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 322: tile_width, 323: tile_height}
    tags |= {324: 8, 325: 0}  # where the first tile begins, and its bytes
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)


def test_a_tiff_whose_tiles_reach_far_beyond_it_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "photo.tiff"
    path.write_bytes(tiff_header(1, 1, 32768, 32752))
    assert "tiles that reach far beyond it" in one_line(path)
    path.write_bytes(tiff_header(8000, 5000, 512, 512))
    assert "expected a whole picture" in one_line(path)
