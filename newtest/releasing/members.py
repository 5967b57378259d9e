"""The members of a release: rows of the catalog with the names of their files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from newtest.catalog.releases import MemberRow
from newtest.errors import ReleaseError
from newtest.files import bytes_of
from newtest.images import kind_named
from newtest.study import Study

__all__ = ["Member", "members_of", "read_bytes"]

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LOADED = {
    ".jpg",
    ".jpeg",
    ".png",
    ".gif",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".avif",
    ".heic",
}
"""Suffixes that loaders of image folders know; a name with another (.jfif) gets one of them behind it."""


@dataclass(frozen=True)
class Member:
    """``name``: the file's name inside its class, safe whatever the id is. ``label``: the class's place by wnid."""

    row: MemberRow
    name: str
    label: int
    sha256: str

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def suffix(self) -> str:
        return "." + self.name.rpartition(".")[2]

    @property
    def url(self) -> str | None:
        """Where the image came from; a path on the maker's disk is nobody's business."""
        return None if (self.row.url or "").lower().startswith("file:") else self.row.url


def members_of(rows: Sequence[MemberRow], revision: str, *, without_bytes: bool = False) -> list[Member]:
    """Members in the rows' order. ``without_bytes``: a set of ids, whose images may be elsewhere.

    Raises ReleaseError: bytes missing, a class whose name cannot name a folder.
    """
    missing = sorted({row.image_id for row in rows if row.sha256 is None})
    if missing and not without_bytes:
        raise ReleaseError(
            f"revision {revision}: {len(missing)} images have no bytes ({', '.join(missing[:5])}"
            f"{', ...' if len(missing) > 5 else ''}); run newtest fetch, or release ids alone with "
            "`without_bytes`; what was taken down never comes back: sample anew without it"
        )
    labels = {wnid: place for place, wnid in enumerate(sorted({row.wnid for row in rows}))}
    for wnid in labels:
        if not _SAFE.fullmatch(wnid):
            raise ReleaseError(f"revision {revision}: the class {wnid!r} cannot name a folder")
    members = [Member(row, _name(row), labels[row.wnid], row.sha256 or "") for row in rows]
    seen: dict[tuple[str, str], str] = {}
    for member in members:
        place = (member.row.wnid, member.name.lower())
        if place in seen:
            raise ReleaseError(f"{member.row.image_id} and {seen[place]} would both be {'/'.join(place)}")
        seen[place] = member.row.image_id
    return members


def read_bytes(study: Study, member: Member) -> bytes:
    """The bytes as they were downloaded. Raises ReleaseError when they are not, any more."""
    try:
        data = bytes_of(study.image_path(member.sha256))
    except FileNotFoundError:
        data = b""
    if hashlib.sha256(data).hexdigest() != member.sha256:
        raise ReleaseError(
            f"{member.row.image_id}: the bytes in {study.image_path(member.sha256)} are missing or damaged; "
            "remove that file and run newtest fetch"
        )
    return data


def _name(row: MemberRow) -> str:
    """The id, with the suffix of what the bytes are; an id that cannot name a file is hashed."""
    kind = kind_named(row.format or "")
    suffixes = tuple(suffix for suffix in kind.suffixes if suffix in _LOADED) if kind else (".bin",)
    name = (
        row.image_id
        if _SAFE.fullmatch(row.image_id)
        else hashlib.sha256(row.image_id.encode()).hexdigest()[:40]
    )
    return name if name.lower().endswith(suffixes) else name + suffixes[0]
