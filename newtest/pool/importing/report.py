"""What an import says of itself: everything that went in, and where it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ImportReport", "Imported"]

_NAMED = 1000


@dataclass(frozen=True)
class Imported:
    """What one shard got: its name, rows, and what was left out, as (file or member, reason)."""

    shard: str
    rows: int
    left_out: tuple[tuple[str, str], ...]
    without_caption: int = 0
    repeated: int = 0
    """Captions that an image has twice."""
    without_image: int = 0
    """Rows that are there without a picture."""
    differing: tuple[tuple[str, str], ...] = ()
    """(file, column) of what two sources say differently of an image; the first one's is kept."""


@dataclass(frozen=True)
class ImportReport:
    """All shards, and what was left out before them: files that no shard holds, captions that meet no image."""

    shards: Sequence[Imported]
    left_out: Sequence[tuple[str, str]] = ()
    unmatched: Sequence[tuple[str, str]] = ()
    caption_rows: int = 0

    @property
    def everything_left_out(self) -> list[tuple[str, str]]:
        """(name, reason), shard by shard, then the rest."""
        return [each for shard in self.shards for each in shard.left_out] + list(self.left_out)

    @property
    def differing(self) -> list[tuple[str, str]]:
        """(file, column), shard by shard."""
        return [each for shard in self.shards for each in shard.differing]

    def says(self) -> str:
        """One line."""
        gone = self.everything_left_out
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in _counted(gone))
        parts = [
            f"wrote {self._sum('rows'):,} rows in {len(self.shards)} shards",
            f"{len(gone):,} files left out" + (f": {reasons}" if gone else ""),
            f"{self._sum('without_caption'):,} rows without a caption",
        ]
        if self._sum("without_image"):
            parts.append(f"{self._sum('without_image'):,} rows without an image")
        if self.unmatched:
            parts.append(f"{len(self.unmatched):,} of {self.caption_rows:,} rows of captions name no image")
        if self._sum("repeated"):
            parts.append(f"{self._sum('repeated'):,} captions stand twice")
        if self.differing:
            columns = ", ".join(f"{count:,} {name}" for name, count in _counted(self.differing))
            parts.append(
                f"{len(self.differing):,} values differ between sources, the first is kept: {columns}"
            )
        return "; ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values; of names no more than a thousand."""
        gone = self.everything_left_out
        return {
            "shards": len(self.shards),
            "rows": self._sum("rows"),
            "left_out": len(gone),
            "reasons": dict(_counted(gone)),
            "names": dict(gone[:_NAMED]),
            "without_caption": self._sum("without_caption"),
            "without_image": self._sum("without_image"),
            "caption_rows": self.caption_rows,
            "captions_repeated": self._sum("repeated"),
            "values_differing": len(self.differing),
            "differing": [{"file": file, "column": name} for file, name in self.differing[:_NAMED]],
            "captions_unmatched": len(self.unmatched),
            "unmatched": [{"table": table, "file": file} for table, file in self.unmatched[:_NAMED]],
        }

    def _sum(self, name: str) -> int:
        return int(sum(getattr(shard, name) for shard in self.shards))


def _counted(left_out: Sequence[tuple[str, str]]) -> list[tuple[str, int]]:
    counts = Counter(reason for _, reason in left_out)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
