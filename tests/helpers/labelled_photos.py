"""Tiny folders of labelled photos for tests: .asf shapes and the XML of dlib's imglab."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np

from fkd.core.keypoints import IBUG68, IMM73

Box = tuple[int, int, int, int]  # left, top, width, height


def write_photo(path: Path, width: int, height: int) -> Path:
    """A photo that grows brighter to the right and downwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.indices((height, width))
    assert cv2.imwrite(str(path), ((rows + columns) % 256).astype(np.uint8))
    return path


def asf_text(photo: str, count: int = len(IMM73.names)) -> str:
    """A shape file whose point k is at 0.4 + k / 1000 of the width and 0.5 of the height."""
    points = "".join(f"0\t0\t{0.4 + k / 1000:.3f}\t0.500\t{k}\t0\t0\n" for k in range(count))
    return f"# shape\n\n{count}\n\n# points\n{points}\n# host image\n{photo}\n"


def write_imm(folder: Path, stems: Sequence[str] = ("01_01", "01_02", "02_01")) -> Path:
    """Photos of 200x150 pixels."""
    for stem in stems:
        write_photo(folder / f"{stem}.png", 200, 150)
        (folder / f"{stem}.asf").write_text(asf_text(f"{stem}.png"))
    return folder


def box_xml(box: Box = (20, 30, 80, 60), parts: int = len(IBUG68.names)) -> str:
    """A box whose part k is at (40 + k / 2, 50) pixels of the photo."""
    left, top, width, height = box
    points = "".join(f"<part name='{k:02}' x='{40 + k / 2}' y='50'/>\n" for k in range(parts))
    return f"<box top='{top}' left='{left}' width='{width}' height='{height}'>\n{points}</box>\n"


def image_xml(file: str, *boxes: str) -> str:
    return f"<image file={quoteattr(file)}>\n{''.join(boxes)}</image>\n"


def dlib_xml(*images: str) -> str:
    return f"<?xml version='1.0'?>\n<dataset>\n<images>\n{''.join(images)}</images>\n</dataset>\n"


def write_dlib(folder: Path, text: str | None = None) -> Path:
    """Two photos of 160x120 pixels, the first with two boxes, or any other text beside them."""
    for file in ("a.png", "b.png"):
        write_photo(folder / "images" / file, 160, 120)
    usual = dlib_xml(
        image_xml("images/b.png", box_xml(), box_xml((60, 40, 30, 40))), image_xml("images/a.png", box_xml())
    )
    (folder / "labels.xml").write_text(usual if text is None else text)
    return folder
