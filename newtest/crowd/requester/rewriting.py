"""A requester's page as it is sent to a worker: our scripts in place of AWS's, its form brought here, its policy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files

from newtest.crowd.requester.elements import ELEMENTS_SCRIPT, REPLACED_SCRIPTS
from newtest.crowd.requester.hosts import AllowedHosts
from newtest.web.headers import content_security_policy

__all__ = ["prepared_page", "requester_policy"]

SUBMIT = "/mturk/externalSubmit"
SANDBOX = "allow-scripts allow-forms allow-modals allow-popups allow-top-navigation-by-user-activation"
"""What a requester's own page may do: run, send its form, replace the tab by a click. It has no origin, so it
can read neither our pages nor their storage."""

_SCRIPT = re.compile(r"(<script\b[^>]*>.*?</script\s*>)", re.DOTALL | re.IGNORECASE)
_SOURCE = re.compile(r"""\ssrc\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_THEIRS = re.compile(r"(?:https?:)?//[a-z0-9-]{1,40}\.mturk\.com/mturk/externalSubmit", re.IGNORECASE)
_OURS = re.compile(r"""https?://[^/"'\s<>]{1,255}(/picture/[A-Za-z0-9_-]+)""")
_CROWD_FORM = re.compile(r"(<crowd-form\b[^>]*>)(.*?)(</crowd-form\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^>]*>|<html\b[^>]*>|<!doctype\b[^>]*>", re.IGNORECASE)


def prepared_page(html: str, is_ours: Callable[[str], bool]) -> str:
    """The page with everything that it needs to work here; its forms are not yet bound to an assignment."""
    kept = []
    has_elements = "<crowd-" in html.lower()
    for part in _SCRIPT.split(html):
        source = _SOURCE.search(part[: part.find(">") + 1]) if _SCRIPT.fullmatch(part) else None
        if source and source.group(1) in REPLACED_SCRIPTS:
            has_elements |= ELEMENTS_SCRIPT.partition(":")[2] in source.group(1)
            continue
        kept.append(part if _SCRIPT.fullmatch(part) else _with_plain_forms(part))
    text = _THEIRS.sub(SUBMIT, "".join(kept))
    text = _OURS.sub(lambda match: match.group(1) if is_ours(match.group(0)) else match.group(0), text)
    names = ["turk.js", "watch.js", *(["elements.js"] if has_elements else [])]
    scripts = "".join(f"<script>{_script(name)}</script>" for name in names)
    places = [match.end() for match in _HEAD.finditer(text[:4_000])]
    at = max(places, default=0)
    return text[:at] + scripts + text[at:]


def requester_policy(html: str, allowed: AllowedHosts, *, frame_ancestors: str = "'self'") -> str:
    """The policy of a requester's page: the hosts that the owner allows and that the page names, nothing else."""
    return content_security_policy(
        scripts=["'unsafe-inline'", *_sources(allowed.scripts, html)],
        styles=_sources(allowed.scripts, html),
        images=_sources(allowed.images, html),
        sandbox=SANDBOX,
        frame_ancestors=frame_ancestors,
    )


def _with_plain_forms(part: str) -> str:
    """A real form inside of each ``<crowd-form>``: what is sent is then the browser's business."""

    def wrapped(match: re.Match[str]) -> str:
        start, inside, end = match.groups()
        if re.search(r"<form\b", inside, re.IGNORECASE):
            return match.group(0)
        return f'{start}<form method="post">{inside}</form>{end}'

    return _CROWD_FORM.sub(wrapped, part)


def _sources(hosts: Iterable[str], html: str) -> list[str]:
    lower = html.lower()
    return [f"{scheme}://{host}" for host in hosts if host in lower for scheme in ("https", "http")]


@cache
def _script(name: str) -> str:
    return files(__package__ or "").joinpath("scripts", name).read_text(encoding="utf-8")
