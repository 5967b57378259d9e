"""The HTML of the server's own pages (the HITs' pages are ``mturk_templates/``), filled in by jinja2,
escaped."""

from __future__ import annotations

from starlette.responses import HTMLResponse

from newtest.templates import environment

__all__ = ["page"]


def page(name: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """One of our pages as a response."""
    return HTMLResponse(environment(__name__).get_template(name).render(**values), status)
