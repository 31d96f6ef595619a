"""The page: self-contained, escaped, light and dark, and true to its figures' colours."""

import base64
import io
from collections.abc import Callable
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Drawing
from PIL import Image

from fkd.report.page import Answer, Figure, Opening, Section, page_html
from fkd.report.style import COLUMN_IN, CSS, CSS_PX_PER_IN, DARK, DOTS_PER_IN, LIGHT, PHONE_PX, WIDE_IN

NASTY = """<script>alert("1")</script> & 'quoted' </style>"""


class Elements(HTMLParser):
    """Every element's tag, attributes and the text right inside it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))

    def handle_data(self, data: str) -> None:
        if self.found:
            self.found[-1][2].append(data)

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(text)) for name, attributes, text in self.found if name == tag]


def line_plot(width_in: float = COLUMN_IN) -> Drawing:
    drawing = Drawing(figsize=(width_in, 1))
    drawing.add_subplot().plot([0, 1])
    return drawing


def figure(name: str = "a-line", draw: Callable[[], Drawing] = line_plot, text: str = "A line") -> Figure:
    return Figure(name, text, f"{text}, rising.", draw)


def decode(url: str | None) -> Image.Image:
    head, _, data = (url or "").partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in to_rgb(colour))


def test_what_is_said_first_stands_before_the_contents() -> None:
    opening = Opening([Answer("1.317 px", NASTY)], "Next: rest.")
    html = page_html("Faces", [Section("Data", "")], opening)
    elements = Elements(html)
    assert [text.strip() for _, text in elements.of("dd")] == ["1.317 px"]
    assert [text for _, text in elements.of("dt")] == [NASTY]
    assert html.index("Next: rest.") < html.index("<nav")


def test_a_wide_figure_has_a_narrow_form_for_phones() -> None:
    wide = Figure("wide", "Wide", "Wide.", lambda: line_plot(WIDE_IN), line_plot)
    elements = Elements(page_html("Faces", [Section("Data", "", [wide])]))
    sources, [(image, _)] = [attributes for attributes, _ in elements.of("source")], elements.of("img")
    dark = "(prefers-color-scheme: dark)"
    phone = f"(max-width: {PHONE_PX}px)"
    # A browser takes the first that fits.
    assert [source["media"] for source in sources] == [f"{phone} and {dark}", phone, dark]
    widths_px = [int(attributes["width"] or 0) for attributes in (*sources, image)]
    assert widths_px == [
        round(width_in * CSS_PX_PER_IN) for width_in in (COLUMN_IN, COLUMN_IN, WIDE_IN, WIDE_IN)
    ]
    for source, theme in zip(sources, (DARK, LIGHT, DARK), strict=True):
        assert decode(source["srcset"]).convert("RGB").getpixel((0, 0)) == rgb(theme.ground)


def test_a_figure_is_there_for_light_and_dark_with_its_caption() -> None:
    elements = Elements(page_html("Faces", [Section("Data", "Some.", [figure()])]))
    [(image, _)], [(source, _)] = elements.of("img"), elements.of("source")
    assert source["media"] == "(prefers-color-scheme: dark)"
    for url, theme in ((image["src"], LIGHT), (source["srcset"], DARK)):
        picture = decode(url)
        assert picture.size == (round(COLUMN_IN * DOTS_PER_IN), DOTS_PER_IN)
        colours = {colour for _, colour in picture.convert("RGB").getcolors() or []}
        assert picture.convert("RGB").getpixel((0, 0)) == rgb(theme.ground)
        assert rgb(theme.cycle[0]) in colours
        assert theme.ground in CSS
    assert image["alt"] == elements.of("figcaption")[0][1].strip() == "A line, rising."
    assert (image["width"], image["height"]) == (f"{COLUMN_IN * CSS_PX_PER_IN:.0f}", f"{CSS_PX_PER_IN}")


def test_contents_lead_to_every_section_and_figure() -> None:
    sections = [
        Section("The data: faces", "", [figure("one"), figure("two")]),
        Section("Training", "Not yet."),
    ]
    elements = Elements(page_html("Faces", sections))
    targets = [attributes["href"] for attributes, _ in elements.of("a")]
    assert targets == ["#section-the-data-faces", "#one", "#two", "#section-training"]
    places = [attributes["id"] for tag in ("section", "figure") for attributes, _ in elements.of(tag)]
    assert sorted(places) == sorted(target.removeprefix("#") for target in targets if target)


def test_texts_are_escaped() -> None:
    section = Section(NASTY, NASTY, [figure("a", text=NASTY)], [(NASTY, f"{NASTY}\nsecond line")])
    elements = Elements(page_html(NASTY, [section]))
    assert not elements.of("script")
    assert elements.of("img")[0][0]["alt"] == f"{NASTY}, rising."
    for tag in ("title", "h1", "h2", "h3", "p", "dt"):
        assert elements.of(tag)[0][1].strip() == NASTY, tag
    assert elements.of("dd")[0][1].strip() == f"{NASTY}\nsecond line"


def test_nothing_is_loaded_from_elsewhere() -> None:
    elements = Elements(page_html("Faces", [Section("Data", "", [figure()])]))
    loaded = [
        value
        for _, attributes, _ in elements.found
        for key, value in attributes.items()
        if key in ("src", "srcset", "href") and not (value or "").startswith(("data:", "#"))
    ]
    assert not loaded
    assert "url(" not in CSS
    assert "@import" not in CSS
    policies = [meta["content"] for meta, _ in elements.of("meta") if "http-equiv" in meta]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_only_wide_figures_take_a_row_of_their_own() -> None:
    figures = [figure("column"), figure("wide", lambda: line_plot(WIDE_IN))]
    elements = Elements(page_html("Faces", [Section("Data", "", figures)]))
    assert [attributes.get("class") for attributes, _ in elements.of("figure")] == [None, "wide"]


def test_a_part_without_figures_says_only_its_sentence() -> None:
    elements = Elements(page_html("Faces", [Section("Training", "No member is finished.")]))
    assert elements.of("p")[0][1].strip() == "No member is finished."
    assert not elements.of("div")
    assert not elements.of("dl")


def test_a_failing_figure_is_not_swallowed() -> None:
    def fail() -> Drawing:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        page_html("Faces", [Section("Data", "", [figure(draw=fail)])])


def test_a_name_stands_once_on_a_page() -> None:
    with pytest.raises(ValueError, match="once on a page, received 'one' twice"):
        page_html("Faces", [Section("A", "", [figure("one")]), Section("B", "", [figure("one")])])


def test_settings_of_matplotlib_are_left_as_they_were() -> None:
    settings = [name for name in matplotlib.rcParams if name != "backend"]  # to look at it is to choose it
    before = [matplotlib.rcParams[name] for name in settings]
    page_html("Faces", [Section("Data", "", [figure()])])
    assert [matplotlib.rcParams[name] for name in settings] == before


def test_a_few_dots_keep_their_hues_among_all_greys() -> None:
    greys = np.repeat(np.random.default_rng(0).integers(0, 256, (DOTS_PER_IN, 300, 1), np.uint8), 3, axis=2)

    def draw() -> Drawing:
        pixels = greys.copy()
        hues = [rgb(hue) for hue in matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]]
        pixels[0, : len(hues)] = hues
        drawing = Drawing(figsize=(300 / DOTS_PER_IN, 1))
        drawing.figimage(pixels)
        return drawing

    elements = Elements(page_html("Faces", [Section("Data", "", [figure(draw=draw)])]))
    [(image, _)], [(source, _)] = elements.of("img"), elements.of("source")
    for url, theme in ((image["src"], LIGHT), (source["srcset"], DARK)):
        shown = np.asarray(decode(url).convert("RGB"))
        assert shown[0, : len(theme.cycle)].tolist() == [list(rgb(hue)) for hue in theme.cycle]
        # 96 greys over 0 to 255 lie 2.7 apart; colours of the theme that are nearly grey stand between them.
        assert np.abs(shown[1:].astype(int) - greys[1:]).max() <= 2
