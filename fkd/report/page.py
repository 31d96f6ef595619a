"""A page of figures: one HTML file that needs neither network nor scripts."""

import io
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

import matplotlib
import matplotlib.figure
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from PIL import Image
from scipy.spatial import KDTree

from fkd.report.style import COLUMN_IN, CSS, CSS_PX_PER_IN, DARK, LIGHT, PHONE_PX, Theme

# No script, font, picture or connection from anywhere: a browser holds the page to it.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_DARK = "(prefers-color-scheme: dark)"

# Of the 256 colours of a picture, these are grey; a colour is grey if red, green and blue are this close.
_GREYS = 96
_GREATEST_SPREAD_OF_GREY = 12


@dataclass(frozen=True)
class Figure:
    """A figure that can be drawn on any ground.

    name: kebab-case, once on a page. caption: one sentence that says what to see. draw: makes a fresh figure
    under the current rcParams, at most `style.WIDE_IN` inches wide; it is called once per theme. draw_narrow:
    the same for a phone, where a wide one could not be read; at most `style.COLUMN_IN` wide.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[], matplotlib.figure.Figure] = field(repr=False)
    draw_narrow: Callable[[], matplotlib.figure.Figure] | None = field(default=None, repr=False)

    def _repr_html_(self) -> str:
        """How a notebook shows it: as on the page."""
        return _figure(self)


@dataclass(frozen=True)
class Section:
    """A part of a page: a sentence (or ""), figures, and facts as (term, text), whose lines are kept."""

    title: str
    text: str
    figures: Sequence[Figure] = ()
    facts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Answer:
    """A figure that is read before all others, such as `1.317 px`, and what it is."""

    value: str
    meaning: str


@dataclass(frozen=True)
class Opening:
    """What a page says first."""

    answers: Sequence[Answer]
    text: str


def page_html(title: str, sections: Sequence[Section], opening: Opening | None = None) -> str:
    """One self-contained HTML document, light or dark as its reader's system is; all texts are escaped.

    Raises ValueError if two figures or sections share a name.
    """
    names = [_anchor(section.title) for section in sections]
    names += [figure.name for section in sections for figure in section.figures]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"expected every name once on a page, received {repeated[0]!r} twice")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{CSS}
</style>
</head>
<body>
<header><h1>{escape(title)}</h1>
{_opening(opening) if opening else ""}</header>
<nav aria-label="Contents"><ol>
{"".join(map(_contents, sections))}</ol></nav>
<main>
{"".join(map(_section, sections))}</main>
</body>
</html>
"""


def _opening(opening: Opening) -> str:
    answers = "".join(
        f"<div><dt>{escape(one.meaning)}</dt><dd>{escape(one.value)}</dd></div>\n" for one in opening.answers
    )
    return f'<dl class="answers">\n{answers}</dl>\n<p>{escape(opening.text)}</p>\n'


def _anchor(title: str) -> str:
    return "section-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _link(anchor: str, text: str) -> str:
    return f'<a href="#{escape(anchor)}">{escape(text)}</a>'


def _contents(section: Section) -> str:
    figures = " · ".join(_link(figure.name, figure.title) for figure in section.figures)
    return f"<li>{_link(_anchor(section.title), section.title)} <span>{figures}</span></li>\n"


def _section(section: Section) -> str:
    text = f"<p>{escape(section.text)}</p>\n" if section.text else ""
    facts = "".join(f"<dt>{escape(term)}</dt><dd>{escape(fact)}</dd>\n" for term, fact in section.facts)
    figures = "".join(map(_figure, section.figures))
    return (
        f'<section id="{escape(_anchor(section.title))}">\n<h2>{escape(section.title)}</h2>\n{text}'
        + (f'<div class="figures">\n{figures}</div>\n' if figures else "")
        + (f"<dl>\n{facts}</dl>\n" if facts else "")
        + "</section>\n"
    )


def _figure(figure: Figure) -> str:
    picture, sources = _picture(figure.draw), ""
    if figure.draw_narrow:
        narrow, phone = _picture(figure.draw_narrow), f"(max-width: {PHONE_PX}px)"
        sources = (
            f'<source media="{phone} and {_DARK}" srcset="{narrow.dark}" {narrow.size}>\n'
            f'<source media="{phone}" srcset="{narrow.light}" {narrow.size}>\n'
        )
    wide = ' class="wide"' if picture.width_px > COLUMN_IN * CSS_PX_PER_IN else ""
    return f"""<figure id="{escape(figure.name)}"{wide}>
<h3>{escape(figure.title)}</h3>
<picture>
{sources}<source media="{_DARK}" srcset="{picture.dark}" {picture.size}>
<img src="{picture.light}" {picture.size} alt="{escape(figure.caption)}">
</picture>
<figcaption>{escape(figure.caption)}</figcaption>
</figure>
"""


@dataclass(frozen=True)
class _Picture:
    """A drawing as data URLs in both themes, and its size in CSS pixels."""

    light: str
    dark: str
    width_px: int
    height_px: int

    @property
    def size(self) -> str:
        """Attributes from which a browser knows its place before it is there."""
        return f'width="{self.width_px}" height="{self.height_px}"'


def _picture(draw: Callable[[], matplotlib.figure.Figure]) -> _Picture:
    light, drawn = _render(draw, LIGHT)
    dark, _ = _render(draw, DARK, laid_out=drawn)
    width_px, height_px = np.rint(drawn.get_size_inches() * CSS_PX_PER_IN).astype(int)
    return _Picture(_data_url(light), _data_url(dark), width_px, height_px)


def _render(
    draw: Callable[[], matplotlib.figure.Figure],
    theme: Theme,
    laid_out: matplotlib.figure.Figure | None = None,
) -> tuple[bytes, matplotlib.figure.Figure]:
    """A drawing as the bytes of a PNG file, and itself.

    laid_out: the same in another theme; its axes' places are taken, as finding them is half of the drawing.
    """
    with matplotlib.rc_context(theme.rc_params()):
        drawn = draw()
        if laid_out:
            drawn.set_layout_engine("none")
            for axes, there in zip(drawn.axes, laid_out.axes, strict=True):
                axes.set_position(there.get_position(original=True))
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    return _small_png(pixels, theme), drawn


def _small_png(pixels: npt.NDArray[np.uint8], theme: Theme) -> bytes:
    """A PNG file of at most 256 colours: the theme's, greys, and those that replace the colourful pixels.

    Chosen by frequency alone, the greys of photos would leave no place to the colours of a few dots.
    pixels: red, green and blue, shape (height, width, 3).
    """
    wanted = [np.rint(255 * np.array([to_rgb(colour) for colour in theme.colours]))]
    wanted.append(np.repeat(np.linspace(0, 255, _GREYS)[:, np.newaxis], 3, axis=1))
    red, green, blue = np.moveaxis(pixels.astype(np.uint32), 2, 0)
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    colourful = pixels[spread > _GREATEST_SPREAD_OF_GREY]
    if len(colourful):
        places = 256 - sum(map(len, wanted))
        common = Image.fromarray(colourful[np.newaxis]).quantize(places).getpalette() or []
        wanted.append(np.reshape(common, (-1, 3)))
    palette = np.concatenate(wanted).astype(np.uint8)
    colour_of_pixel, packed = pd.factorize((red << 16 | green << 8 | blue).ravel())
    # Pillow's own choice is coarse: it takes all colours of a box of 4 x 4 x 4 for one.
    _, nearest = KDTree(palette).query(np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1))
    picture = Image.fromarray(nearest.astype(np.uint8)[colour_of_pixel].reshape(pixels.shape[:2]))
    picture.putpalette(palette.tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
