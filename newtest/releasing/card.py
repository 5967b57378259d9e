"""The dataset card and the attributions: Markdown written from the catalog, strangers' words escaped."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from newtest.catalog.releases import VoteFacts
from newtest.catalog.revisions import Revision
from newtest.crowd.costs import Paid
from newtest.records import Class
from newtest.releasing.licenses import allows_redistribution, license_url
from newtest.releasing.members import Member
from newtest.templates import markdown_environment

__all__ = ["Facts", "attributions", "dataset_card", "markdown"]

_WINDOW = ("taken_after", "taken_before", "uploaded_after", "uploaded_before")
_SPECIAL = re.compile(r"([\\`*_\[\]|~])")


@dataclass(frozen=True)
class Facts:
    """All that the card tells. The catalog's parts are as in newtest.catalog.releases."""

    revision: Revision
    members: Sequence[Member]
    classes: Sequence[Class]
    searches: Sequence[dict[str, Any]]
    votes: VoteFacts
    exclusions: dict[str, int]
    compared: Sequence[tuple[str, str]]
    paid: Sequence[Paid]
    formats: Sequence[str]


def dataset_card(facts: Facts) -> str:
    """``README.md``: how collected, votes, configuration, exclusions, licences, known limits."""
    templates = markdown_environment("newtest.releasing", "templates")
    templates.filters["md"] = markdown
    rows = [member.row for member in facts.members]
    config = json.loads(facts.revision.config)
    return templates.get_template("README.md.j2").render(
        revision=facts.revision,
        config=json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False),
        strategy=config.get("strategy", "unknown"),
        seed=config.get("seed", "unknown"),
        images=len({row.image_id for row in rows}),
        pairs=len(rows),
        classes=facts.classes,
        sizes=sorted(Counter(Counter(row.wnid for row in rows).values()).items()),
        sources=sorted(Counter(row.source for row in rows).items()),
        searches=_searches(facts.searches),
        votes=facts.votes,
        shown=(min(row.num_shown for row in rows), max(row.num_shown for row in rows)),
        frequency=_mean_frequency(facts.members),
        exclusions=sorted(facts.exclusions.items(), key=lambda item: (-item[1], item[0])),
        licenses=_licenses(facts.members),
        compared=facts.compared,
        paid=facts.paid,
        formats=facts.formats,
    )


def attributions(members: Sequence[Member]) -> str:
    """``ATTRIBUTION.md``: who made each image, where it is, and under which licence."""
    lines = ["# Attributions", "", "Every image belongs to its owner. The bytes are unmodified.", ""]
    for member in members:
        row = member.row
        title = f"“{markdown(row.title)}”" if row.title else "untitled"
        page = _link(title, row.page_url or member.url)
        owner = markdown(row.owner) if row.owner else "unknown owner"
        terms = _link(markdown(row.license), license_url(row.license)) if row.license else "licence unknown"
        lines.append(f"- `{row.wnid}/{member.name}`: {page} by {owner}, {terms} ({markdown(row.source)})")
    return "\n".join(lines) + "\n"


def markdown(text: object) -> str:
    """A stranger's words as plain text in Markdown: one line, no markup, no HTML."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return _SPECIAL.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _link(text: str, url: str | None) -> str:
    if url is None or not url.lower().startswith(("http://", "https://")):
        return text
    return f"[{text}](<{quote(url, safe=':/?#[]@!$&*+,;=%~')}>)"


def _searches(searches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a source: how many queries, some of them, the windows and licences they asked for."""
    entries = []
    for source in sorted({search["source"] for search in searches}):
        queries = [search["query"] for search in searches if search["source"] == source]
        windows = {
            ", ".join(f"{key.replace('_', ' ')} {q[key]}" for key in _WINDOW if q.get(key)) for q in queries
        }
        asked = {", ".join(query.get("licenses") or ()) or "any licence" for query in queries}
        entries.append(
            {
                "source": _without_path(source),
                "count": len(queries),
                "examples": [] if _is_local(source) else sorted({query["text"] for query in queries})[:8],
                "windows": sorted(window or "no window of dates" for window in windows),
                "licenses": sorted(asked),
            }
        )
    return entries


def _is_local(source: str) -> bool:
    return source.partition(":")[0] in ("folder", "table")


def _without_path(source: str) -> str:
    """``folder:/home/me/photos`` as ``folder:photos``: where it lay on the maker's disk is nobody's business."""
    kind, colon, place = source.partition(":")
    return f"{kind}{colon}{place.rpartition('/')[2]}"


def _mean_frequency(members: Sequence[Member]) -> float | None:
    known = [m.row.num_selected / m.row.num_shown for m in members if m.row.num_shown]
    return sum(known) / len(known) if known else None


def _licenses(members: Sequence[Member]) -> list[tuple[str, int, str]]:
    """(licence, members, what it means for passing them on), most first."""
    meaning = {
        True: "may be passed on unmodified",
        False: "**forbids redistribution**",
        None: "unknown to us: ask",
    }
    counts = Counter(member.row.license for member in members)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0] or ""))
    return [(name or "none given", count, meaning[allows_redistribution(name)]) for name, count in ordered]
