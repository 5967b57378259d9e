"""The HTML of the server's own pages (the HITs' pages are ``mturk_templates/``), filled in by jinja2,
escaped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import jinja2
from starlette.responses import HTMLResponse

__all__ = ["page"]


def page(name: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """One of our pages as a response."""
    return HTMLResponse(_environment().get_template(name).render(**values), status)


@cache
def _environment() -> jinja2.Environment:
    def source(name: str) -> str:
        return files(__name__).joinpath(name).read_text(encoding="utf-8")

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
