"""What all figures share: one style, one palette safe for colour-blind readers, and bytes that do not change.

Matplotlib is used through its objects alone (no pyplot, no global state); the style is a context of ours.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from newtest.lettering import FONT, families, quiet, shown, unknown_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "GRID", "INK", "MARKERS", "Look", "Picture", "axes_of", "looks", "picture", "style"]

# Okabe and Ito 2008, without the yellow that vanishes on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
MARKERS = ("o", "s", "^", "D", "v", "X", "P", "*", "<", ">")
INK, GRID = "#1f2328", "#e3e6ea"
PNG_DPI = 300
"""Dots an inch: what journals ask of a figure at column width."""

_STYLE: dict[str, object] = {
    "text.parse_math": False,  # a name with dollar signs is not a formula
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.edgecolor": "#8b929a",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": True,  # a grid line through a word makes it look struck out
    "legend.facecolor": "white",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "svg.fonttype": "none",
    "svg.hashsalt": "newtest",
    "path.simplify": False,
}
_PAGE_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Look:
    """How a group is drawn: colour and shape together, so that either alone tells it."""

    color: str
    marker: str


@dataclass(frozen=True)
class Picture:
    """A figure as bytes. ``inline`` is the SVG for a page: no XML head, ids of its own, names on hover.

    ``missing``: letters that no font here has; a box stands for each in ``png``.
    """

    name: str
    alt: str
    svg: bytes
    png: bytes
    inline: str
    missing: tuple[str, ...] = ()


def looks(groups: Sequence[str]) -> dict[str, Look]:
    """A look for each group, in the given order; "" (no group) is grey and last, unless it is the only one."""
    named = [group for group in dict.fromkeys(groups) if group]
    found = {
        group: Look(COLORS[at % len(COLORS)], MARKERS[at % len(MARKERS)]) for at, group in enumerate(named)
    }
    if not named:
        return {"": Look(COLORS[0], MARKERS[0])}
    return found | ({"": Look("#8b929a", "o")} if "" in groups else {})


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib with our settings and no others, for the block."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)  # type: ignore[arg-type]
        matplotlib.rcParams["font.family"] = list(families())
        yield


def axes_of(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of this size (inches) with one axes; use inside ``style``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def picture(figure: Figure, name: str, alt: str, hover: Mapping[str, Sequence[str]] | None = None) -> Picture:
    """Render a figure, inside ``style``. ``hover`` maps the gid of a collection to one text a point."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.text import Text

    alt = shown(alt)
    vector, raster = io.StringIO(), io.BytesIO()
    render_svg: Callable[..., None] = FigureCanvasSVG(figure).print_svg  # matplotlib leaves it untyped
    render_png: Callable[..., None] = FigureCanvasAgg(figure).print_png
    with quiet():
        render_svg(vector, metadata={"Date": None, "Creator": None, "Title": alt})
        figure.dpi = PNG_DPI
        render_png(raster, metadata={"Software": None})
    # The same figure is the same file wherever it is drawn: which fonts were found here is not part of it.
    found = ", ".join(f"'{family}'" for family in families())
    svg = _named(vector.getvalue().replace(found, f"'{FONT}'"), hover or {})
    texts = [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]
    return Picture(
        name, alt, svg.encode(), raster.getvalue(), _inline(svg, name, alt), unknown_letters(texts)
    )


def _named(svg: str, hover: Mapping[str, Sequence[str]]) -> str:
    """Give the points of each named collection a <title>, which browsers show on hover and readers read aloud."""
    for gid, texts in hover.items():
        start = svg.find(f'<g id="{gid}">')
        if start < 0:
            continue
        names = iter(texts)
        head, tail = svg[:start], svg[start:]
        # The collection's group holds one <use> a point, in order, and ends where the next gid begins.
        end = tail.find("\n   </g>\n   <g id=")
        body, rest = (tail[:end], tail[end:]) if end >= 0 else (tail, "")
        body = re.sub(
            r"(<use [^>]*?)/>",
            lambda match, names=names: f"{match[1]}><title>{escape(shown(next(names, '')))}</title></use>",  # type: ignore[misc]
            body,
            count=len(texts),
        )
        svg = head + body + rest
    return svg


def _inline(svg: str, name: str, alt: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    body = body.replace(f"'{FONT}'", _PAGE_FONT)
    view = re.search(r'viewBox="[^"]+"', body)
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    head = f'<svg {spaces} role="img" {view[0] if view else ""} aria-label="{escape(alt)}">'
    return head + body[body.index(">") + 1 :]
