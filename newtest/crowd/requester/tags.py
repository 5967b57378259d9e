"""The tags of a page in one pass, in time that grows with its length alone.

``html.parser`` looks at the rest of a page again for every tag that never ends; a browser drops what never ends, and so
does this.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Tag", "tags_of"]

_NAME = re.compile(r"[a-zA-Z][^\s/>]*")
_ATTRIBUTE = re.compile(r"[\s/]*([^\s/>=][^\s/>=]*)(\s*=\s*)?")
_UNQUOTED = re.compile(r"[^\s>]*")
_END_OF_TAG = re.compile(r"[\s/]*>")
_RAW = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript"})
"""Elements whose content is text: tags in it do not count. A browser that runs scripts reads no <noscript>."""


@dataclass(frozen=True)
class Tag:
    """A start tag: its name in lower case, its attributes (the first of a name counts), its text if it holds text."""

    name: str
    attributes: dict[str, str]
    text: str = ""


def tags_of(page: str) -> Iterator[Tag]:
    """Every start tag of a page, in order."""
    at = 0
    while (at := page.find("<", at)) >= 0:
        if page.startswith("<!--", at):
            end = page.find("-->", at + 2)
            if end < 0:
                return
            at = end + 3
        elif (name := _NAME.match(page, at + 1)) is None:
            at += 1  # an end tag, a declaration, or a mere sign
        else:
            attributes, end = _attributes(page, name.end())
            if end < 0:
                return
            tag, at, text = name.group().lower(), end, ""
            if tag in _RAW:
                close = re.compile(rf"</{tag}[\s/>]", re.IGNORECASE).search(page, at)
                text = page[at : close.start()] if close else page[at:]
                at = close.start() + 1 if close else len(page)
            yield Tag(tag, attributes, text)


def _attributes(page: str, at: int) -> tuple[dict[str, str], int]:
    """Attributes from ``at`` on, and where the tag has ended; -1 when it never does."""
    found: dict[str, str] = {}
    while not (end := _END_OF_TAG.match(page, at)):
        match = _ATTRIBUTE.match(page, at)
        if match is None:
            stray = at < len(page) and page[at] == "="
            if not stray:
                return found, -1
            at += 1
            continue
        at, value = match.end(), ""
        if match.group(2):
            quote = page[at : at + 1]
            if quote in ('"', "'"):
                close = page.find(quote, at + 1)
                if close < 0:
                    return found, -1
                value, at = page[at + 1 : close], close + 1
            else:
                unquoted = _UNQUOTED.match(page, at)
                assert unquoted is not None
                value, at = unquoted.group(), unquoted.end()
        found.setdefault(match.group(1).lower(), html.unescape(value))
    return found, end.end()
