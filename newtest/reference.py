"""Registering the original test set: an ImageFolder by wnid, a table, or one of ImageNetV2's dataset files.

An image keeps the name under which it was published (``ILSVRC2012_val_00034218.JPEG``), so that votes about it can be
imported. Bytes are optional: a reference of names alone has frequencies to match, but no pictures to compare with.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from newtest.catalog.classes import put_classes, wnids
from newtest.catalog.references import fingerprint_of, foreign_ids, known_places, put_reference, put_urls
from newtest.classes import classes_of, is_wnid
from newtest.config import fingerprint
from newtest.errors import ClassError, UsageError
from newtest.files import sha256_of
from newtest.reading.jsons import parse_json
from newtest.records import Class, Image
from newtest.sets import Census, ImageSet, LeftOut, ids_of, read_image_set, walk
from newtest.study import Study, now

__all__ = [
    "Added",
    "Member",
    "add_reference",
    "local_path",
    "members_of",
    "members_of_folder",
    "members_of_table",
    "with_files_from",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ID = re.compile(r"[^\x00-\x1f\x7f/\\\ud800-\udfff]{1,128}")
_KNOWN = ("page_url", "title", "license", "owner")


@dataclass(frozen=True)
class Member:
    """One image of a reference set in one class; ``url`` leads to its bytes, None where there are none."""

    image_id: str
    wnid: str
    url: str | None = None
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Added:
    """What was registered. ``unknown``: class ids without a class (not in WordNet, or WordNet is not installed)."""

    name: str
    images: int
    classes: int
    image_ids: tuple[str, ...]
    unknown: tuple[str, ...]


def members_of(found: ImageSet) -> list[Member]:
    """The members of a set in any form: class folders (ids by the rule of ``newtest.sets.ids_of``), a release, a table
    or one of ImageNetV2's dataset files. What else a table says is kept. Raises UsageError: no images, or a name that
    cannot be an id.
    """
    if not found.images:
        wanted = "folders named by wnid with image files in them" if found.kind == "folder" else "rows"
        raise UsageError(f"{found.root}: no images; needed are {wanted} ({found.census.says()})")
    _refuse_names(found)
    return [
        Member(
            image.image_id,
            image.cls,
            image.path.resolve().as_uri() if image.path else _text(image.about.get("url")),
            {key: value for key, value in image.about.items() if key not in ("url", "path", "file")},
        )
        for image in found.images
    ]


def members_of_folder(folder: Path) -> list[Member]:
    """``members_of`` a folder. Raises UsageError."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    return members_of(read_image_set(folder))


def members_of_table(path: Path) -> list[Member]:
    """``members_of`` a table; paths are relative to it. Raises UsageError that names the file, and column or row."""
    return members_of(read_image_set(path))


def _refuse_names(found: ImageSet) -> None:
    for number, image in enumerate(found.images, start=1):
        if _ID.fullmatch(image.image_id) and _NAME.fullmatch(image.cls):
            continue
        if found.kind == "folder":
            file = image.about["file"]
            raise UsageError(f"{found.root}: {file!a} cannot be an image's id in a class; rename it")
        raise UsageError(
            f"{found.root}, row {number}: image_id {image.image_id!r} with wnid {image.cls!r} cannot be a member"
        )


def _text(value: Any) -> str | None:
    return str(value) if value else None


def with_files_from(members: Sequence[Member], folder: Path) -> tuple[list[Member], Census]:
    """The members with the bytes that lie in a folder; others stay as they are. Second: what is in the folder, files
    that belong to no member counted as left out.

    A file belongs to the id that is its name, its name without suffix, or its path with ``_`` for ``/``, if it lies in
    the folder of its class or in that of no class, and is the only such.
    """
    try:
        walked = walk(folder)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror or error})") from error
    places: dict[str, list[str]] = {}
    for name, image_id in zip(walked.images, ids_of(walked.images), strict=True):
        base = name.rpartition("/")[2]
        for key in {image_id, base, base.rpartition(".")[0] or base}:
            places.setdefault(key, []).append(name)
    classes = {member.wnid for member in members}
    found, used = [], set()
    for member in members:
        place = _place(member, places.get(member.image_id, []), classes)
        if place is not None:
            used.add(place)
        url = member.url if place is None else (folder / place).resolve().as_uri()
        found.append(Member(member.image_id, member.wnid, url, member.extra))
    strange = [LeftOut(name, "of no member") for name in walked.images if name not in used]
    census = replace(
        walked.census,
        images=len(used),
        left_out=tuple(sorted((*walked.census.left_out, *strange), key=_by_name)),
    )
    return found, census


def _place(member: Member, names: Sequence[str], classes: Set[str]) -> str | None:
    """The one file in the member's class folder; else the one that lies in no folder of another class."""
    own = [name for name in names if name.startswith(f"{member.wnid}/")]
    free = [name for name in names if name.partition("/")[0] not in classes]
    return next((some[0] for some in (own, free) if len(some) == 1), None)


def _by_name(entry: LeftOut) -> str:
    return entry.name


def add_reference(study: Study, name: str, members: Sequence[Member], origin: str) -> Added:
    """Register a reference set; the same set under the same name may bring addresses that were not known before.
    Fetching its bytes is the next step.

    Raises UsageError: a name that cannot be one or stands for another set, a member twice, an id of the pool, an id
    that names other bytes in this set or in an earlier one.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a reference: up to 64 letters, digits, '_', '.' and '-' can")
    pairs = [(member.image_id, member.wnid) for member in members]
    if len(set(pairs)) < len(pairs):
        twice = Counter(pairs).most_common(1)[0][0]
        raise UsageError(f"{origin}: {twice[0]} is there twice in class {twice[1]}")
    mark = fingerprint(sorted(pairs))
    with study.exclusive("reference"):
        if (known := fingerprint_of(study.catalog, name)) not in (None, mark):
            raise UsageError(f"there is another reference {name!r} already; choose another name")
        ids = tuple(sorted({member.image_id for member in members}))
        if foreign := foreign_ids(study.catalog, ids):
            raise UsageError(
                f"{foreign[0]} and {len(foreign) - 1} more of {origin} are images of the pool already"
            )
        _refuse_other_bytes(study, members, origin)
        unknown = _add_classes(study, sorted({member.wnid for member in members}))
        if known is None:
            rows = [(_image(name, member), member.wnid) for member in members]
            put_reference(study.catalog, name, origin, mark, now(), rows)
        else:
            put_urls(study.catalog, {member.image_id: member.url for member in members if member.url})
    return Added(name, len(ids), len({wnid for _, wnid in pairs}), ids, unknown)


def _refuse_other_bytes(study: Study, members: Sequence[Member], origin: str) -> None:
    """Raise UsageError where an id names a file whose bytes differ from what the id has named before.

    Two folders may both hold ``0001.png``: stored under one id, votes about the one would count for the other.
    """
    named = known_places(study.catalog, sorted({member.image_id for member in members}))
    for member in members:
        url, sha256 = named.setdefault(member.image_id, (member.url, None))
        if url is None or member.url is None or url == member.url:
            continue
        hashes = {sha256 or _hash_at(url), _hash_at(member.url)} - {None}
        if len(hashes) > 1:
            raise UsageError(
                f"{origin}: {member.image_id} is the name of two images, at {url} and at {member.url}; "
                "give them ids of their own in a table with image_id, wnid and path"
            )


def _hash_at(url: str) -> str | None:
    """The sha256 of a local file; None for other addresses and for files that cannot be read: nothing is known then."""
    place = local_path(url)
    try:
        return sha256_of(place) if place else None
    except OSError:
        return None


def local_path(url: str | None) -> Path | None:
    """The path of a ``file:`` address, None for others."""
    return Path(unquote(urlsplit(url).path)) if url and url.startswith("file:") else None


def _image(name: str, member: Member) -> Image:
    extra = {key: _plain(value) for key, value in (member.extra or {}).items() if value is not None}
    page_url, title, license_, owner = (str(extra.pop(key)) if extra.get(key) else None for key in _KNOWN)
    source = f"reference:{name}"
    return Image(
        member.image_id, source, member.image_id, member.url, page_url, title, license_, owner, extra=extra
    )


def _plain(value: Any) -> Any:
    """A value that JSON can hold; what it cannot (dates, not-a-number) as text."""
    try:
        return parse_json(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return str(value)


def _add_classes(study: Study, found: Sequence[str]) -> tuple[str, ...]:
    """Class rows for new ids: WordNet's, or for an id of the user's own the id as its name."""
    new = sorted(set(found) - set(wnids(study.catalog)))
    put_classes(
        study.catalog, [Class(wnid, (wnid,), origin="reference") for wnid in new if not is_wnid(wnid)]
    )
    unknown = []
    for wnid in filter(is_wnid, new):
        try:
            put_classes(study.catalog, classes_of([wnid]))
        except ClassError:
            unknown.append(wnid)
    return tuple(unknown)
