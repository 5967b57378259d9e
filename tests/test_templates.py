"""The two environments that newtest's pages are filled in by."""

from __future__ import annotations

import jinja2
import pytest

from newtest.templates import environment, markdown_environment


def test_pages_escape_text_and_markdown_leaves_that_to_its_filter() -> None:
    assert environment("newtest.review").from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    assert markdown_environment("newtest.releasing").from_string("{{ x }}").render(x="<b>") == "<b>"


@pytest.mark.parametrize("made", [environment, markdown_environment])
def test_a_name_that_is_missing_is_an_error_and_so_is_a_template(made) -> None:
    templates = made("newtest.review", "pages")
    with pytest.raises(jinja2.UndefinedError, match="'x' is undefined"):
        templates.from_string("{{ x }}").render()
    with pytest.raises(jinja2.TemplateNotFound):
        templates.get_template("../app.py/nothing")
