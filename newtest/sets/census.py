"""What went into a set and what was left out: every file is an image or is counted with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Census", "LeftOut"]

_NAMED = 3


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not in the set. ``reason`` is a few words that can be counted."""

    name: str
    reason: str


@dataclass(frozen=True)
class Census:
    """``files`` = ``images`` + ``left_out``; ``folders`` are those left out whole, with what is in them. ``nested``:
    images in folders inside class folders. ``animated``: images of which the first picture is taken, None where nobody
    looked.
    """

    files: int
    images: int
    left_out: tuple[LeftOut, ...] = ()
    folders: tuple[LeftOut, ...] = ()
    nested: int = 0
    animated: int | None = None

    def says(self) -> str:
        """``6 files, 5 images, 1 left out: 1 .heic (pip install "newtest[heic]"); 1 folder left out: ...``"""
        counted = f"{_many(self.files, 'file')}, {_many(self.images, 'image')}, {len(self.left_out)} left out"
        parts = [counted + _reasons(self.left_out)]
        if self.folders:
            names = ", ".join(_shown(entry.name) for entry in self.folders[:_NAMED])
            more = f", and {len(self.folders) - _NAMED} more" if len(self.folders) > _NAMED else ""
            count = _many(len(self.folders), "folder")
            parts.append(f"{count} left out{_reasons(self.folders)} ({names}{more})")
        if self.nested:
            parts.append(f"{_many(self.nested, 'image')} in folders inside class folders")
        if self.animated:
            parts.append(f"{self.animated} animated, the first picture is taken")
        return "; ".join(parts)

    def reasons(self) -> dict[str, int]:
        """Reason -> files and folders left out for it, the most frequent first."""
        return dict(_counted([*self.left_out, *self.folders]))

    def as_json(self) -> dict[str, Any]:
        """The same as plain values; of the names no more than a thousand."""
        told: dict[str, Any] = {"files": self.files, "images": self.images, "left_out": len(self.left_out)}
        told["reasons"] = self.reasons()
        told["names"] = {_shown(entry.name): entry.reason for entry in (*self.folders, *self.left_out)[:1000]}
        told |= {"folders_left_out": len(self.folders), "nested": self.nested}
        return told if self.animated is None else {**told, "animated": self.animated}


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _shown(name: str) -> str:
    """A stranger's file name, without what would steer a terminal or is not text."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def _counted(entries: Sequence[LeftOut]) -> list[tuple[str, int]]:
    counts = Counter(entry.reason for entry in entries)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _reasons(entries: Sequence[LeftOut]) -> str:
    if not entries:
        return ""
    return ": " + ", ".join(f"{count} {reason}" for reason, count in _counted(entries))
