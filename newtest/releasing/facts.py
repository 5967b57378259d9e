"""All that the card and the Croissant file tell of a release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from newtest.catalog.kept import believed
from newtest.catalog.releases import VoteFacts
from newtest.catalog.revisions import Revision
from newtest.crowd.ledger import Amount
from newtest.records import Class
from newtest.releasing.about import About
from newtest.releasing.members import Member

__all__ = ["Facts"]

_WINDOW = ("taken_after", "taken_before", "uploaded_after", "uploaded_before")


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
    paid: Mapping[str, Amount]
    formats: Sequence[str]
    about: About = field(default_factory=About)
    second_labels: str | None = None
    """A sentence on second labels; None where none were proposed."""

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the revision was drawn by."""
        return self.revision.config_values()

    @property
    def strategy(self) -> str:
        return str(self.config.get("strategy", "unknown"))

    @property
    def seed(self) -> str:
        return str(self.config.get("seed", "unknown"))

    @property
    def collected(self) -> list[dict[str, Any]]:
        """One entry per source: how many queries, some of them, the windows and licences they asked for."""
        with believed("a search"):
            return _searches(self.searches)


def _searches(searches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per source: how many queries, some of them, the windows and licences they asked for."""
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
