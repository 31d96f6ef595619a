"""How a report looks: one set of colours for the page and its figures, light and dark."""

from dataclasses import dataclass
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb

# Widths of figures in inches: one column on a phone, two side by side on a desk.
COLUMN_IN = 4.8
WIDE_IN = 7.2

# Screens up to this width show the narrow form of wide figures.
PHONE_PX = 600

# On the page; the figures' 10 points are then 15 pixels, like the text around them.
CSS_PX_PER_IN = 110
# In the file: sharp on a phone's dense screen, where a column has 700 to 1,000 pixels.
DOTS_PER_IN = 160

# Seaborn's palette "colorblind"; importing seaborn takes longer than drawing a page of data.
_HUES = (
    *("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"),
    *("#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"),
)
# Saturated colours sink into a dark ground; this much white lifts them out.
_LIFT = 0.2


@dataclass(frozen=True)
class Theme:
    """Colours as `#rrggbb`: the ground, text, text of less weight, thin lines, and the cycle of hues."""

    ground: str
    text: str
    faint_text: str
    line: str
    cycle: tuple[str, ...]

    @property
    def colours(self) -> tuple[str, ...]:
        """All of them."""
        return self.ground, self.text, self.faint_text, self.line, *self.cycle

    def rc_params(self) -> dict[Any, Any]:
        """Settings of matplotlib for figures that belong on this ground."""
        return _SHAPES | {
            "axes.edgecolor": self.line,
            "axes.facecolor": self.ground,
            "axes.labelcolor": self.text,
            "axes.prop_cycle": cycler(color=self.cycle),
            "axes.titlecolor": self.text,
            "figure.facecolor": self.ground,
            "grid.color": self.line,
            "image.cmap": self._colour_map(),
            "legend.labelcolor": self.text,
            "patch.edgecolor": self.text,
            "text.color": self.text,
            "xtick.color": self.line,
            "xtick.labelcolor": self.faint_text,
            "ytick.color": self.line,
            "ytick.labelcolor": self.faint_text,
        }

    def _colour_map(self) -> str:
        """The name of the colours from the ground to the first hue; rcParams take only registered names."""
        name = f"{self.ground} to {self.cycle[0]}"
        if name not in matplotlib.colormaps:
            matplotlib.colormaps.register(
                LinearSegmentedColormap.from_list(name, [self.ground, self.cycle[0]])
            )
        return name


_SHAPES: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": False,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titlepad": 4,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.dpi": DOTS_PER_IN,
    "figure.figsize": (COLUMN_IN, 3.2),
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def _lightened(hue: str) -> str:
    red, green, blue = (part + _LIFT * (1 - part) for part in to_rgb(hue))
    return to_hex((red, green, blue))


LIGHT = Theme(ground="#fcfcfa", text="#1f2328", faint_text="#59616b", line="#d0d4d9", cycle=_HUES)
DARK = Theme(
    ground="#15181c",
    text="#e4e7ea",
    faint_text="#a0a8b2",
    line="#3f464e",
    cycle=tuple(map(_lightened, _HUES)),
)


def _variables(theme: Theme) -> str:
    return (
        f"--ground: {theme.ground}; --text: {theme.text}; --faint: {theme.faint_text}; "
        f"--line: {theme.line}; --link: {theme.cycle[0]};"
    )


CSS = f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }}
body {{
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: {2 * COLUMN_IN * CSS_PX_PER_IN + 96:.0f}px;
  background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: break-word;
}}
h1 {{ font-size: 1.75rem; line-height: 1.2; margin: 0 0 1rem; }}
h2 {{ font-size: 1.375rem; line-height: 1.25; margin: 0 0 .5rem; }}
h3 {{ font-size: 1rem; margin: 0 0 .5rem; }}
p {{ margin: 0; max-width: 44rem; }}
a {{ color: var(--link); text-decoration: none; }}
a:hover, a:focus {{ text-decoration: underline; }}
nav ol {{ list-style: none; margin: 0; padding: 0; }}
nav li {{ margin: 0 0 .25rem; }}
nav span {{ color: var(--faint); font-size: .875rem; }}
nav span a {{ color: inherit; white-space: nowrap; }}
section {{ border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 1.5rem; }}
.figures {{
  display: grid; align-items: start; gap: 2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, {COLUMN_IN * CSS_PX_PER_IN:.0f}px), 1fr));
}}
section > * + .figures, section > * + dl {{ margin-top: 1.5rem; }}
figure {{ margin: 0; min-width: 0; }}
figure.wide {{ grid-column: 1 / -1; }}
img {{ display: block; max-width: 100%; height: auto; }}
figcaption {{
  color: var(--faint); font-size: .875rem; line-height: 1.4; margin-top: .5rem; max-width: 44rem;
}}
header {{ margin-bottom: 2rem; }}
.answers {{
  display: grid; gap: 1rem 1.5rem; margin: 0 0 1rem;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
}}
.answers div {{ display: flex; flex-direction: column-reverse; justify-content: flex-end; }}
.answers dt {{ color: var(--faint); font-size: .875rem; font-weight: 400; line-height: 1.4; }}
.answers dd {{ font-size: 1.5rem; font-weight: 600; line-height: 1.25; margin: 0; white-space: nowrap; }}
.answers div:first-child dd {{ color: var(--link); }}
dl {{ margin: 0; }}
dt {{ font-weight: 600; }}
dd {{ margin: 0 0 .75rem; white-space: pre-wrap; overflow-wrap: anywhere; }}
""".strip()
