"""The dataset card and the attributions: Markdown written from the catalog, strangers' words escaped."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

from newtest.releasing.class_labels import class_labels
from newtest.releasing.facts import Facts
from newtest.releasing.formats import tar_suffix
from newtest.releasing.front_matter import front_matter
from newtest.releasing.licenses import allows_redistribution, license_url
from newtest.releasing.limits import known_biases, known_limits
from newtest.releasing.members import Member
from newtest.templates import markdown_environment

__all__ = ["attributions", "dataset_card", "markdown"]

_SPECIAL = re.compile(r"([\\`*_\[\]|~])")


def dataset_card(facts: Facts) -> str:
    """``README.md``: how collected, votes, configuration, exclusions, licences, known limits."""
    templates = markdown_environment("newtest.releasing", "templates")
    templates.filters["md"] = markdown
    rows = [member.row for member in facts.members]
    labels = class_labels(facts.classes)
    matter = front_matter(
        facts.revision.name, facts.members, labels, facts.formats, tar_suffix(facts.members)
    )
    return matter + templates.get_template("README.md.j2").render(
        revision=facts.revision,
        config=json.dumps(facts.config, indent=2, sort_keys=True, ensure_ascii=False),
        strategy=facts.strategy,
        seed=facts.seed,
        images=len({row.image_id for row in rows}),
        pairs=len(rows),
        classes=facts.classes,
        sizes=sorted(Counter(Counter(row.wnid for row in rows).values()).items()),
        sources=sorted(Counter(row.source for row in rows).items()),
        searches=facts.collected,
        votes=facts.votes,
        second_labels=facts.second_labels,
        shown=(min(row.num_shown for row in rows), max(row.num_shown for row in rows)),
        frequency=_mean_frequency(facts.members),
        exclusions=sorted(facts.exclusions.items(), key=lambda item: (-item[1], item[0])),
        licenses=_licenses(facts.members),
        compared=facts.compared,
        paid=facts.paid,
        formats=facts.formats,
        about=facts.about,
        limits=[*known_limits(facts), *known_biases(facts)],
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
