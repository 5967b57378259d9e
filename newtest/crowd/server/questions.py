"""The page of one HIT: a template filled in, or a requester's own page in a sandbox; its form leads back to
us."""

from __future__ import annotations

import html
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from newtest.catalog import market
from newtest.catalog.market import MarketHit
from newtest.crowd.questions import PictureUrl, Wording, from_question_xml, page_of
from newtest.crowd.requester.hosts import AllowedHosts
from newtest.crowd.requester.inspection import inspect_page
from newtest.crowd.requester.rewriting import prepared_page, requester_policy
from newtest.crowd.templates import render
from newtest.web.headers import content_security_policy, script_hashes

__all__ = ["Question", "question_of", "requester_question", "with_form"]

_FORM = re.compile(r"<form\b([^>]*)>", re.IGNORECASE)
_ATTRIBUTES = re.compile(
    r"""\s(?:action|target|method|enctype)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE
)


_SCRIPT = re.compile(r"(<script\b[^>]*>.*?</script\s*>)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """A page and the policy under which a browser may show it."""

    html: str
    policy: str
    problems: Sequence[str] = ()
    """What of a requester's page cannot work (any more): it is not to be shown then."""


def question_of(
    catalog: sqlite3.Connection,
    hit: MarketHit,
    picture_url: PictureUrl,
    allowed: AllowedHosts,
    is_ours: Callable[[str], bool],
    wording: Wording,
) -> Question:
    """The page of a HIT, its form not yet bound to an assignment."""
    if hit.hit_id is None or hit.template_id is None:
        return requester_question(from_question_xml(hit.question or ""), allowed, is_ours)
    template = market.template_text(catalog, hit.template_id)
    policy = content_security_policy(scripts=script_hashes(template), frame_ancestors="'self'")
    return Question(render(template, page_of(catalog, hit.hit_id, picture_url, wording)), policy)


def requester_question(html: str, allowed: AllowedHosts, is_ours: Callable[[str], bool]) -> Question:
    """A requester's own page: inspected, with our scripts in place of AWS's, in a sandbox."""
    return Question(
        prepared_page(html, is_ours), requester_policy(html, allowed), inspect_page(html, allowed, is_ours)
    )


def with_form(page: str, action: str, hidden: Mapping[str, str]) -> str:
    """The page with its form sent to ``action``, in the whole tab, with more hidden fields.

    Of several forms it is the one that MTurk would get, else the first. A page without a form comes back as it is:
    a script of its own sends one, or its lease ends or is returned.
    """
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in hidden.items()
    )
    parts = _SCRIPT.split(page)
    found = [
        (n, match)
        for n, part in enumerate(parts)
        if not _SCRIPT.fullmatch(part)
        for match in _FORM.finditer(part)
    ]
    if not found:
        return page
    theirs = (pair for pair in found if re.search("externalSubmit|mturk_form", pair[1].group(0)))
    n, match = next(theirs, found[0])
    kept = _ATTRIBUTES.sub("", match.group(1))
    form = f'<form method="post" target="_top" action="{html.escape(action)}"{kept}>{fields}'
    parts[n] = parts[n][: match.start()] + form + parts[n][match.end() :]
    return "".join(parts)
