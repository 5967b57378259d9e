"""``X-Robots-Tag``: which of a server's directives hold for us.

A header is a list of directives, ``noindex, noai``; an agent's name before them, ``somebot: noai``, makes them hold for
that agent alone, up to the next agent or the end of the header. There may be several headers, and several directives
in each; some directives carry a value of their own (``max-snippet:-1``).
See developers.google.com/search/docs/crawling-indexing/robots-meta-tag.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["opted_out"]

_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


def opted_out(headers: Sequence[str], words: Sequence[str], user_agent: str) -> str | None:
    """The first of ``words`` by which these headers keep ``user_agent`` out; None where none does."""
    ours = user_agent.split("/")[0].strip().lower()
    for header in headers:
        agent: str | None = None
        for part in header.lower().replace(";", ",").split(","):
            name, colon, rest = part.partition(":")
            if colon and name.strip() not in _WITH_VALUE:
                agent, part = name.strip(), rest
            if agent in (None, "*", ours):
                for word in part.split():
                    if word in words:
                        return word
    return None
