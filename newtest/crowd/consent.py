"""The owner's introduction and consent text: Markdown, shown on arrival, its version kept with the votes.

A small part of Markdown is understood: headings (``#``), lists (``-``), paragraphs, ``**strong**``, ``*emphasis*`` and
bare https addresses. Everything else is text, and all of it is escaped: no HTML comes through.
"""

from __future__ import annotations

import hashlib
import html
import re

__all__ = ["consent_version", "to_html"]

_SPANS = (
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\*(.+?)\*"), r"<em>\1</em>"),
    (
        re.compile(r"(https://[A-Za-z0-9._~/?#@!$'()+,;=%-]*[A-Za-z0-9_~/#=-])"),
        r'<a href="\1" rel="noreferrer">\1</a>',
    ),
)


def consent_version(text: str) -> str:
    """What names a text: 12 hex digits of its sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def to_html(text: str) -> str:
    """The text as HTML, escaped."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return "\n".join(_block(block) for block in blocks if block.strip())


def _block(block: str) -> str:
    lines = [line.strip() for line in block.splitlines()]
    if heading := re.match(r"(#{1,4})\s+(.+)", lines[0]):
        level = len(heading[1]) + 1  # the page has a heading of its own
        rest = "\n".join(lines[1:])
        return f"<h{level}>{_spans(heading[2])}</h{level}>" + (f"\n{_block(rest)}" if rest.strip() else "")
    if all(re.match(r"[-*]\s+", line) for line in lines):
        items = [_spans(re.sub(r"^[-*]\s+", "", line)) for line in lines]
        return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
    return f"<p>{_spans(' '.join(lines))}</p>"


def _spans(text: str) -> str:
    escaped = html.escape(text, quote=True)
    for pattern, replacement in _SPANS:
        escaped = pattern.sub(replacement, escaped)
    return escaped
