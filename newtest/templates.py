"""One way to fill in the pages of newtest: text is escaped, and a name that is missing is an error, not a gap."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

__all__ = ["environment", "markdown_environment"]


@cache
def environment(package: str, folder: str = "") -> jinja2.Environment:
    """Templates of HTML in a folder of a package: ``environment("newtest.review", "pages")``."""
    return jinja2.Environment(autoescape=True, **_settings(package, folder))


@cache
def markdown_environment(package: str, folder: str = "") -> jinja2.Environment:
    """Templates of Markdown, where a filter of the caller's escapes: HTML's escapes would be read as text."""
    return jinja2.Environment(autoescape=False, keep_trailing_newline=True, **_settings(package, folder))  # noqa: S701


def _settings(package: str, folder: str) -> dict[str, Any]:
    def source(name: str) -> str | None:
        file = files(package).joinpath(folder, name) if folder else files(package).joinpath(name)
        return file.read_text(encoding="utf-8") if file.is_file() else None

    return {
        "loader": jinja2.FunctionLoader(source),
        "undefined": jinja2.StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
    }
