"""Names appear in figures as they are written."""

from __future__ import annotations

import xml.dom.minidom
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from newtest.drawing import axes_of, picture, style
from newtest.evaluation.report.figures import Curve, Scatter, draw_curves, draw_matrix, draw_scatter
from newtest.lettering import _letters, families, label_of, legend, shown, unknown_letters, without_glyphs

NAMES = [
    "$\\fracbad$", "_pretrained", "a_b^c $x$ \\$", "C:\\new\\tab", "__x", "猫モデル", "고양이", "نموذج", "🦊 fox",
    "<b>&amp;",
]  # fmt: skip


def scatter() -> Scatter:
    n = len(NAMES)
    x = np.linspace(40, 80, n)
    points = pd.DataFrame({"model": NAMES, "group": NAMES, "x": x, "y": x - 9, "n_x": 900.0, "n_y": 900.0})
    return Scatter(points, "$val_2$", "_new 猫\\x")


def texts_of(svg: bytes) -> list[str]:
    document = xml.dom.minidom.parseString(svg)
    return [
        "".join(child.data for child in node.childNodes if child.nodeType == child.TEXT_NODE)
        for node in document.getElementsByTagName("text")
    ]


def test_every_name_stands_in_the_legend_and_on_the_axes_as_written() -> None:
    drawn = draw_scatter(scatter())
    texts = texts_of(drawn.svg)
    assert set(NAMES) <= set(texts)
    assert "accuracy on $val_2$, % (logit scale)" in texts
    assert "accuracy on _new 猫\\x, % (logit scale)" in texts
    assert set(NAMES) <= set(texts_of(draw_matrix(np.eye(len(NAMES)), NAMES, "$a$", "m").svg))
    curves = [Curve(name, np.array([1, 2]), np.array([3, 3])) for name in NAMES[:4]]
    assert {*NAMES[:4], "$1$", "_x"} <= set(texts_of(draw_curves(["$1$", "2"], curves, ("_x", "y"), "c").svg))
    assert "猫モデル" in drawn.inline and "&lt;b&gt;&amp;amp;" in drawn.inline


def test_letters_that_no_font_has_are_named() -> None:
    drawn = draw_scatter(scatter())
    if len(families()) == 1:  # DejaVu alone
        assert set(drawn.missing) == set("猫モデル고양이🦊")
        assert "no installed font has 猫 (U+732B)" in without_glyphs(tuple("猫"))
    assert unknown_letters(["plain", "نموذج", "Ünïcode\n"]) == ()


def test_a_font_that_has_the_letter_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A font of one glyph under the name of a fallback, made with fontTools, which Matplotlib brings."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from matplotlib.font_manager import fontManager

    pen = TTGlyphPen(None)
    for at, point in enumerate([(100, 0), (100, 800), (900, 800), (900, 0)]):
        (pen.moveTo if at == 0 else pen.lineTo)(point)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "face"])
    builder.setupCharacterMap({ord("🦊"): "face"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "face": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "face": (1000, 100)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Noto Emoji", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "emoji.ttf")
    before = draw_scatter(scatter())
    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))
    try:
        fontManager.addfont(tmp_path / "emoji.ttf")
        families.cache_clear()
        _letters.cache_clear()
        after = draw_scatter(scatter())
    finally:
        monkeypatch.undo()
        families.cache_clear()
        _letters.cache_clear()
    assert "🦊" not in after.missing
    if "🦊" in before.missing:
        assert after.png != before.png
    assert b"Noto Emoji" not in after.svg, "the file says nothing of the fonts of this machine"


def test_hostile_names_leave_a_figure_that_can_be_read() -> None:
    names = ["bell\x07", "tab\tand\nline", "half \ud800", "\u2028", "", "\x00"]
    assert [shown(name) for name in names[:3]] == ["bell\ufffd", "tab and line", "half \ufffd"]
    with style():
        figure, axes = axes_of(2, 2)
        for at, name in enumerate(names):
            axes.plot([0, 1], [at, at], label=label_of(name))
        legend(axes)
        drawn = picture(figure, "x", "alt \x00", {})
    xml.dom.minidom.parseString(drawn.svg)
