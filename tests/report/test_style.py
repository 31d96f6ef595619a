import matplotlib
import pytest
import seaborn
from matplotlib.colors import to_hex, to_rgb

from fkd.report.style import CSS, DARK, LIGHT, Theme


def test_hues_are_those_of_seaborn() -> None:
    assert list(LIGHT.cycle) == seaborn.color_palette("colorblind").as_hex()
    # A fifth of the way from #0173b2 to white.
    assert DARK.cycle[0] == "#348fc1"


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_figures_stand_on_the_themes_ground_in_its_colours(theme: Theme) -> None:
    with matplotlib.rc_context(theme.rc_params()):
        settings = matplotlib.rcParams
        assert settings["figure.facecolor"] == settings["axes.facecolor"] == theme.ground
        assert settings["text.color"] == theme.text
        assert settings["axes.prop_cycle"].by_key()["color"] == list(theme.cycle)
        colours = matplotlib.colormaps[settings["image.cmap"]]
    assert [to_hex(colours(place)) for place in (0.0, 1.0)] == [theme.ground, theme.cycle[0]]


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_text_is_readable_on_its_ground(theme: Theme) -> None:
    for text in (theme.text, theme.faint_text, theme.cycle[0]):  # the last is that of links
        dark, light = sorted((_luminance(text), _luminance(theme.ground)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, "less than WCAG 2 asks for"


def test_the_page_takes_the_dark_colours_where_its_reader_asks_for_them() -> None:
    light, dark = CSS.split("@media (prefers-color-scheme: dark)")
    for theme, part in ((LIGHT, light), (DARK, dark.splitlines()[0])):
        for colour in (theme.ground, theme.text, theme.faint_text, theme.line, theme.cycle[0]):
            assert colour in part
