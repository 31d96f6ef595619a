import numpy as np
import pytest

from fkd.core.drawing import BLACK_BGR, GREEN_BGR, draw_dots

WHITE_BGR = (255, 255, 255)


def _draw(*points_px: tuple[float, float], radius_px: float = 4, rim: bool = False) -> np.ndarray:
    """A white picture of 60 by 80 pixels, enlarged twofold, with its dots."""
    picture = np.full((120, 160, 3), WHITE_BGR, np.uint8)
    draw_dots(picture, np.array(points_px), 2, radius_px, rim)
    return picture


def test_a_dot_is_centred_on_its_enlarged_pixel():
    # Pixel 20 becomes pixels 40 and 41, pixel 30 becomes 60 and 61; a quarter of a pixel becomes a half.
    for point_px, centre_px in (((20, 30), (40.5, 60.5)), ((20.25, 30.75), (41, 62))):
        drawn = 255.0 - _draw(point_px)[..., 0]
        y, x = (np.indices(drawn.shape) * drawn).sum(axis=(1, 2)) / drawn.sum()
        assert (x, y) == pytest.approx(centre_px, abs=0.05)


def test_a_dot_has_its_radius_and_a_rim_of_two_fifths_more():
    for rim, around in ((False, WHITE_BGR), (True, BLACK_BGR)):
        line = _draw((40, 30), radius_px=20, rim=rim)[60]  # through its centre at 80.5
        for distance_px, colour in ((19, GREEN_BGR), (22, around), (26, around), (30, WHITE_BGR)):
            assert line[80 - distance_px].tolist() == line[81 + distance_px].tolist() == list(colour)


def test_a_point_without_label_is_not_drawn():
    assert (_draw((np.nan, np.nan), (3, np.nan), rim=True) == WHITE_BGR).all()
    np.testing.assert_array_equal(_draw((np.nan, 5), (20, 30)), _draw((20, 30)))
