"""From the report's numbers and pictures to one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from newtest.drawing import Picture

__all__ = ["MOST_ROWS", "render_page"]

MOST_ROWS = 200
"""So many models are in the page's table; all are in ``table.csv`` and ``report.json``."""


def render_page(
    numbers: dict[str, Any], pictures: Sequence[Picture], thumbnails: list[list[str | None]]
) -> str:
    """The page as HTML: texts escaped, our own SVG as it is. ``numbers`` is what ``report.json`` holds."""
    from markupsafe import Markup

    from newtest.templates import environment

    templates = environment("newtest.evaluation.report", "templates")
    templates.filters |= {"number": _number, "percent": _percent, "signed": _signed, "moved": _moved}
    figures = {picture.name: Markup(picture.inline) for picture in pictures}  # noqa: S704  our own SVG, texts escaped
    return templates.get_template("report.html.j2").render(
        page=numbers, figures=figures, thumbnails=thumbnails, most_rows=MOST_ROWS
    )


def _number(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    return f"{value:.3f}".replace("-", "−") if isinstance(value, float) else str(value)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _moved(ranks: int | None) -> str:
    return "–" if ranks is None else f"{ranks:+d}".replace("-", "−") if ranks else "0"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")
