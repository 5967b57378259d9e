"""The page of one HIT: a template filled in, or a requester's own page in a sandbox; its form leads back to
us."""

from __future__ import annotations

import html
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from newtest.catalog import market
from newtest.catalog.market import MarketHit
from newtest.crowd.questions import PictureUrl, from_question_xml, page_of
from newtest.crowd.templates import render
from newtest.web.headers import content_security_policy, script_hashes

__all__ = ["Question", "question_of", "with_form"]

SANDBOX = "allow-scripts allow-forms allow-modals allow-popups allow-top-navigation-by-user-activation"
"""What a requester's own page may do: run, send its form, replace the tab by a click. It has no origin, so it
can read neither our pages nor their storage."""

_FORM = re.compile(r"<form\b([^>]*)>", re.IGNORECASE)
_ATTRIBUTES = re.compile(
    r"""\s(?:action|target|method|enctype)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE
)


@dataclass(frozen=True)
class Question:
    """A page and the policy under which a browser may show it."""

    html: str
    policy: str


def question_of(catalog: sqlite3.Connection, hit: MarketHit, picture_url: PictureUrl) -> Question:
    """The page of a HIT, its form not yet bound to an assignment."""
    if hit.hit_id is None or hit.template_id is None:
        policy = content_security_policy(
            scripts=["'unsafe-inline'"], sandbox=SANDBOX, frame_ancestors="'self'"
        )
        return Question(from_question_xml(hit.question or ""), policy)
    template = market.template_text(catalog, hit.template_id)
    policy = content_security_policy(scripts=script_hashes(template), frame_ancestors="'self'")
    return Question(render(template, page_of(catalog, hit.hit_id, picture_url)), policy)


def with_form(page: str, action: str, hidden: Mapping[str, str]) -> str:
    """The page with its first form sent to ``action``, in the whole tab, with more hidden fields.

    A page without a form comes back as it is: nobody can submit it, and its lease ends or is returned.
    """
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in hidden.items()
    )

    def form(match: re.Match[str]) -> str:
        kept = _ATTRIBUTES.sub("", match.group(1))
        return f'<form method="post" target="_top" action="{html.escape(action)}"{kept}>{fields}'

    return _FORM.sub(form, page, count=1)
