"""The packages that newtest may use: the lean core and the extras, each against the versions that it asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

__all__ = ["EXTRAS", "Package", "core", "extra"]

EXTRAS: Mapping[str, str] = {
    "demo": "newtest demo",
    "probe": "newtest probe, newtest report shift",
    "flickr": "newtest collect --source flickr",
    "crowd": "newtest annotate serve, newtest review",
    "mturk": "newtest annotate publish --to mturk",
    "pool": "pools at a URL, filter-pool --english, balance-pool, search-pool",
    "clip": "embed-pool, zeroshot, evaluate --model and merge with open_clip, timm or torchvision",
    "conse": "embed-pool --model conse, evaluate --model efficientnet-lite0, dedup --features",
    "faiss": "faster near-duplicate search on a CPU",
    "gpu": "faster near-duplicate search on a GPU",
    "ray": "--engine ray",
    "croissant": "a check of the release's Croissant file",
    "heic": "HEIC images",
}
"""Extra -> what needs it. Extras of developers (``lint``, ``test``, ``docs``) and ``all`` are left out."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*([^;]*)(?:;\s*(.*))?")
_EXTRA = re.compile(r"extra == ['\"]([^'\"]+)['\"]")


@dataclass(frozen=True)
class Package:
    """A package that newtest asks for: the lowest version allowed ("" for any), and the one here (None: missing)."""

    name: str
    lowest: str
    installed: str | None

    @property
    def usable(self) -> bool:
        """Whether it is here and not too old."""
        return self.installed is not None and _release(self.installed) >= _release(self.lowest)

    def __str__(self) -> str:
        if self.installed is None:
            return f"{self.name} is missing"
        old = "" if self.usable else f", older than {self.lowest}"
        return f"{self.name} {self.installed}{old}"


def core() -> list[Package]:
    """What every command needs."""
    return [_package(line) for line in _lines() if _extra_of(line) is None]


def extra(name: str) -> list[Package]:
    """What one extra brings."""
    return [_package(line) for line in _lines() if _extra_of(line) == name]


def _lines() -> list[str]:
    try:
        return requires("newtest") or []
    except PackageNotFoundError:  # run from a folder, never installed
        return []


def _extra_of(line: str) -> str | None:
    found = _EXTRA.search(line)
    return found[1] if found else None


def _package(line: str) -> Package:
    found = _REQUIREMENT.match(line)
    name, specifiers = (found[1], found[2]) if found else (line, "")
    lowest = next((part.strip()[2:].strip() for part in specifiers.split(",") if ">=" in part), "")
    try:
        return Package(name, lowest, version(name))
    except PackageNotFoundError:
        return Package(name, lowest, None)


def _release(text: str) -> tuple[int, ...]:
    """The numbers that a version begins with: 2.13.0+cpu is (2, 13, 0)."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
