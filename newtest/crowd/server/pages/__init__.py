"""The HTML of the server's own pages (the HITs' pages are ``mturk_templates/``), filled in by jinja2,
escaped."""

from __future__ import annotations

from starlette.responses import HTMLResponse

from newtest.crowd.languages import Language, language
from newtest.templates import environment

__all__ = ["page"]


def page(
    template: str, /, *, status: int = 200, spoken: Language | None = None, **values: object
) -> HTMLResponse:
    """One of our pages as a response, in a language (English, unless it is for workers)."""
    text = environment(__name__).get_template(template).render(language=spoken or language("en"), **values)
    return HTMLResponse(text, status)
