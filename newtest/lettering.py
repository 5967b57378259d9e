"""Names in figures, as they are written: no formulas, no hidden labels, and fonts that have their letters.

Matplotlib reads ``$`` as a formula, leaves labels that begin with ``_`` out of legends, and draws a box for a letter
that its font lacks. Here a name is text, and further fonts are asked where the first has no glyph.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

__all__ = ["FONT", "families", "label_of", "legend", "quiet", "shown", "unknown_letters", "without_glyphs"]

FONT = "DejaVu Sans"
"""Matplotlib brings it: Latin, Greek, Cyrillic, Arabic, Hebrew, Georgian, signs and some faces."""
# Asked in this order for what DejaVu lacks, where they are installed: free ones first, then what systems bring.
_FALLBACKS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK TC", "Noto Sans CJK KR", "Noto Sans JP", "Noto Sans SC",
    "Noto Sans KR", "Source Han Sans", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAexGothic",
    "IPAGothic", "TakaoPGothic", "NanumGothic", "UnBatang", "Noto Sans Arabic", "Noto Naskh Arabic", "Noto Sans Hebrew",
    "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Noto Sans Symbols",
    "Noto Sans Symbols 2", "Noto Emoji", "Symbola", "OpenMoji", "FreeSerif", "Unifont", "Unifont Upper",
    "Hiragino Sans", "PingFang SC", "PingFang HK", "Apple SD Gothic Neo", "Geeza Pro", "Arial Unicode MS", "Yu Gothic",
    "Meiryo", "MS Gothic", "Microsoft YaHei", "SimHei", "SimSun", "Malgun Gothic", "Segoe UI Symbol", "Segoe UI Emoji",
    "Segoe UI", "Tahoma", "Nirmala UI",
)  # fmt: skip
_HIDDEN = "\u2060"
"""A word joiner before a label keeps Matplotlib from dropping it; the legend shows the name without it."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u2028\u2029]")


def shown(name: str) -> str:
    """A name as one line of text: control characters and half characters become spaces or the replacement sign."""
    return _CONTROL.sub(lambda found: " " if found[0].isspace() else "\ufffd", str(name))


def label_of(name: str) -> str:
    """A name as the label of an artist; ``legend`` shows it as it is written."""
    return f"{_HIDDEN}{shown(name)}" if name.startswith("_") else shown(name)


def legend(axes: Axes, **options: Any) -> Legend:
    """A legend of everything with a label, names that begin with ``_`` among them."""
    handles, labels = axes.get_legend_handles_labels()
    return axes.legend(handles, [label.removeprefix(_HIDDEN) for label in labels], **options)


@cache
def families() -> tuple[str, ...]:
    """The fonts to ask for a letter, in order: those of the list that are installed."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return (FONT, *(name for name in _FALLBACKS if name in installed))


def unknown_letters(texts: Iterable[str]) -> tuple[str, ...]:
    """The letters of these texts that no font here has, each once, in order."""
    known = _letters()
    letters = dict.fromkeys(letter for text in texts for letter in text)
    return tuple(
        letter
        for letter in letters
        if ord(letter) not in known
        and not letter.isspace()
        and unicodedata.category(letter) not in ("Cf", "Mn")
    )


def without_glyphs(letters: tuple[str, ...]) -> str:
    """What to do about letters that the fonts lack, in one sentence."""
    some = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in letters[:5])
    more = f" and {len(letters) - 5} more" if len(letters) > 5 else ""
    return (
        f"no installed font has {some}{more}: a box stands there in .png figures, while .svg figures and the page show "
        "the letters where the reader has a font; install one, such as Noto Sans CJK or Noto Emoji"
    )


@cache
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    found: set[int] = set()
    for family in families():
        found |= set(get_font(findfont(FontProperties(family=[family]))).get_charmap())
    return frozenset(found)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Matplotlib's own warnings of missing glyphs, which ``unknown_letters`` says in one sentence."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        yield
