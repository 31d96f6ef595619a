import cv2
import numpy as np
import pytest

from fkd.report.figures.faces import faces_png


def test_dots_stand_on_their_points():
    points = np.array([[[20.0, 30.0], [np.nan, np.nan]], [[70.25, 5.5], [1.0, 90.0]]])
    sheet = cv2.imdecode(
        np.frombuffer(faces_png(np.zeros((2, 96, 96), np.uint8), points), np.uint8), cv2.IMREAD_COLOR
    )
    assert sheet.shape == (192, 8 * 192, 3)
    green = sheet[:, :192, 1].astype(float)
    y, x = (np.indices(green.shape) * green).sum(axis=(1, 2)) / green.sum()
    # Enlarged twofold, the centre of pixel (20, 30) lies at (20 + 0.5) * 2 - 0.5.
    assert (x, y) == pytest.approx((40.5, 60.5), abs=0.15)
