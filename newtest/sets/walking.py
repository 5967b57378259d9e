"""Walking through a folder of images, as it lies on somebody's disk.

Links to folders are followed, and each folder is read once: so there are no loops, and no picture comes twice by two
ways. Foreign names are passed over. Whatever is not an image is told with its reason.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from newtest.files import open_bytes
from newtest.images import kind_of
from newtest.images.kinds import HEAD, KINDS, Kind, missing_extra
from newtest.sets.census import Census, LeftOut
from newtest.sets.foreign import is_foreign

__all__ = ["Walked", "walk"]

FOREIGN = "hidden or made by the system"
NO_TEXT = "a name that is not UTF-8"
_SUFFIX = re.compile(r"\.[a-z0-9]{1,10}")
_BY_SUFFIX = {suffix: kind for kind in KINDS for suffix in kind.suffixes}


@dataclass(frozen=True)
class Walked:
    """``images``: paths below the root with ``/``, by folder and then by name. ``top``: the folders right under it."""

    root: Path
    images: tuple[str, ...]
    top: tuple[str, ...]
    census: Census


@dataclass
class _Tally:
    images: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    folders: list[LeftOut] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    seen: set[tuple[int, int]] = field(default_factory=set)


def walk(root: Path) -> Walked:
    """All images under a folder. Raises OSError where the root itself cannot be read."""
    tally = _Tally()
    top: list[str] = []
    _enter(root, "", tally, top)
    while tally.links:  # after all real folders: what a link leads to keeps its own name where it has one
        links, tally.links = sorted(tally.links), []
        for name in links:
            _follow(root, name, tally, top)
    images = sorted(tally.images, key=_order)
    left_out = tuple(sorted(tally.left_out, key=lambda entry: entry.name))
    folders = tuple(sorted(tally.folders, key=lambda entry: entry.name))
    census = Census(len(images) + len(left_out), len(images), left_out, folders)
    return Walked(root, tuple(images), tuple(sorted(top)), census)


def _order(name: str) -> tuple[str, str]:
    folder, _, base = name.rpartition("/")
    return folder, base


def _follow(root: Path, name: str, tally: _Tally, top: list[str]) -> None:
    try:
        about = (root / name).stat()
    except OSError as error:
        tally.folders.append(LeftOut(name, f"unreadable: {error.strerror or error}"))
        return
    if (about.st_dev, about.st_ino) in tally.seen:
        tally.folders.append(LeftOut(name, "a link to a folder that is read already"))
        return
    if "/" not in name:
        top.append(name)
    _enter(root / name, f"{name}/", tally, [])


def _enter(folder: Path, prefix: str, tally: _Tally, top: list[str]) -> None:
    """Read one real folder and those in it, without the interpreter's stack: trees may be deep."""
    waiting = [(folder, prefix)]
    while waiting:
        here, before = waiting.pop()
        try:
            about = here.stat()
            tally.seen.add((about.st_dev, about.st_ino))
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            if here == folder and not prefix:
                raise
            tally.folders.append(LeftOut(before.rstrip("/"), f"unreadable: {error.strerror or error}"))
            continue
        for entry in entries:
            name = f"{before}{entry.name}"
            if not _is_text(name):
                (tally.folders if entry.is_dir() else tally.left_out).append(LeftOut(name, NO_TEXT))
            elif not entry.is_dir():
                _file(entry, name, tally)
            elif is_foreign(entry.name):
                tally.folders.append(LeftOut(name, FOREIGN))
            elif entry.is_symlink():
                tally.links.append(name)
            else:
                if not before:
                    top.append(name)
                waiting.append((Path(entry.path), f"{name}/"))


def _is_text(name: str) -> bool:
    """Not so where the disk holds bytes that are not UTF-8: no table, JSON or page could hold the name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _file(entry: os.DirEntry[str], name: str, tally: _Tally) -> None:
    reason = FOREIGN if is_foreign(entry.name) else _refusal(entry)
    if reason is None:
        tally.images.append(name)
    else:
        tally.left_out.append(LeftOut(name, reason))


def _refusal(entry: os.DirEntry[str]) -> str | None:
    """Why a file is not an image of the set; None if it is one. One with an image's suffix is, whatever is in it: that
    it is damaged is found, and told, where it is opened.
    """
    try:
        mode = entry.stat().st_mode
    except OSError:
        return "a link to nothing" if entry.is_symlink() else "unreadable"
    if not stat.S_ISREG(mode):
        return "no regular file"
    suffix = PurePosixPath(entry.name).suffix.lower()
    kind = _BY_SUFFIX.get(suffix)
    if kind is None:
        try:
            kind = _kind_of_file(entry.path)
        except OSError:
            return "unreadable"
    if kind is None:
        return suffix if _SUFFIX.fullmatch(suffix) else "without a suffix, and no image"
    if extra := missing_extra(kind):
        return f'{suffix or kind.suffixes[0]} (pip install "newtest[{extra}]")'
    return None


def _kind_of_file(path: str) -> Kind | None:
    with open_bytes(path) as handle:
        return kind_of(handle.read(HEAD))
