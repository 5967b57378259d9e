"""Registering the original test set: an ImageFolder by wnid, a table, or one of ImageNetV2's dataset files.

An image keeps the name under which it was published (``ILSVRC2012_val_00034218.JPEG``), so that votes about it can be
imported. Bytes are optional: a reference of names alone has frequencies to match, but no pictures to compare with.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from newtest.catalog.classes import put_classes, wnids
from newtest.catalog.references import fingerprint_of, foreign_ids, known_places, put_reference, put_urls
from newtest.classes import classes_of, is_wnid
from newtest.config import fingerprint
from newtest.errors import ClassError, UsageError
from newtest.files import sha256_of
from newtest.records import Class, Image
from newtest.study import Study, now

__all__ = [
    "Added",
    "Member",
    "add_reference",
    "local_path",
    "members_of_folder",
    "members_of_table",
    "with_files_from",
]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ID = re.compile(r"[^\x00-\x1f\x7f/\\\ud800-\udfff]{1,128}")
_UNSTORABLE = re.compile(
    r"[\x00-\x1f\x7f\ud800-\udfff]"
)  # of file names: control characters, bytes that are no UTF-8
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


def members_of_folder(folder: Path) -> list[Member]:
    """An ImageFolder: ``folder/WNID/FILE``, by wnid and file name. Raises UsageError when there is none.

    The image's id is its file name; where a file name occurs in several classes, all ids are ``WNID_FILE``.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    files = [
        file
        for kind in sorted(folder.iterdir())
        if kind.is_dir() and not kind.name.startswith(".")
        for file in sorted(kind.iterdir())
        if file.suffix.lower() in SUFFIXES and file.is_file()
    ]
    if not files:
        raise UsageError(f"{folder}: no images; wanted are folders named by wnid with image files in them")
    if odd := [file for file in files if _UNSTORABLE.search(f"{file.parent.name}{file.name}")]:
        raise UsageError(
            f"{folder}: {f'{odd[0].parent.name}/{odd[0].name}'!a} cannot be an image's id; rename it "
            f"({len(odd)} such files)"
        )
    unique = max(Counter(file.name for file in files).values()) == 1
    return [
        Member(
            file.name if unique else f"{file.parent.name}_{file.name}",
            file.parent.name,
            file.resolve().as_uri(),
        )
        for file in files
    ]


def members_of_table(path: Path) -> list[Member]:
    """A CSV, Parquet or JSON file with the columns image_id and wnid; url or path, and anything else, is kept.

    A JSON file may also be one of ImageNetV2's dataset files (``image_filenames``: pairs of name and wnid). Paths are
    relative to the table. Raises UsageError that names the file, and the column or row.
    """
    members = []
    for position, row in enumerate(_rows(path), start=1):
        image_id, wnid = str(row.get("image_id") or ""), str(row.get("wnid") or "")
        if not _ID.fullmatch(image_id) or not _NAME.fullmatch(wnid):
            raise UsageError(
                f"{path}, row {position}: image_id {image_id!r} with wnid {wnid!r} cannot be a member"
            )
        url = row.get("url")
        if row.get("path"):
            url = (path.parent / str(row["path"])).resolve().as_uri()
        rest = {key: value for key, value in row.items() if key not in ("image_id", "wnid", "url", "path")}
        members.append(Member(image_id, wnid, str(url) if url else None, rest))
    if not members:
        raise UsageError(f"{path}: no rows in it")
    return members


def with_files_from(members: Sequence[Member], folder: Path) -> list[Member]:
    """The members with the bytes that lie in ``folder/ID`` or ``folder/WNID/ID``; others stay as they are."""
    found = []
    for member in members:
        places = (folder / member.image_id, folder / member.wnid / member.image_id)
        file = next((place for place in places if place.is_file()), None)
        url = file.resolve().as_uri() if file else member.url
        found.append(Member(member.image_id, member.wnid, url, member.extra))
    return found


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
        return json.loads(json.dumps(value, allow_nan=False))
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


def _rows(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    try:
        if path.suffix.lower() == ".json":
            return _json_rows(json.loads(path.read_text(encoding="utf-8")), path)
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise UsageError(f"{path}: not a CSV, Parquet or JSON table ({error})") from error
    for column in ("image_id", "wnid"):
        if column not in frame.columns:
            raise UsageError(
                f"{path}: the column {column!r} is missing; it has {', '.join(map(str, frame.columns))}"
            )
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def _json_rows(document: Any, path: Path) -> list[dict[str, Any]]:
    if isinstance(document, dict) and isinstance(document.get("image_filenames"), list):
        pairs = document["image_filenames"]
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise UsageError(f"{path}: image_filenames must be a list of pairs of file name and wnid")
        document = [{"image_id": name, "wnid": wnid} for name, wnid in pairs]
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise UsageError(
            f"{path}: neither a list of rows nor one of ImageNetV2's dataset files (image_filenames)"
        )
    return document
