"""``folder:PATH``: images on disk in one folder per class, named by wnid. The bytes stay where they are.

An image is known by the sha256 of its bytes, so the same file in two class folders is one image that serves two
classes, and a folder may be moved.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from newtest.config import fingerprint
from newtest.errors import SourceError
from newtest.files import sha256_of
from newtest.records import Class, Image, Query, image_id_of
from newtest.sets import Walked, walk
from newtest.sources.protocol import LOCAL_PAGE, Page, SearchPlan, only, unfiltered
from newtest.sources.values import text_or_none

__all__ = ["Folder"]


class Folder:
    """An ImageFolder: ``PATH/<wnid>/<any name>.jpg``. Raises SourceError when there is no such folder."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise SourceError(f"{path}: no such folder")
        self._root = path.resolve()
        self.name = f"folder:{self._root}"

    limits = None

    def plan(self, cls: Class, queries: Sequence[Query]) -> SearchPlan:
        """One query: the class's folder. Its text names the content, so a folder that has grown is read again."""
        found = self._found(cls.wnid)
        files = self._files(cls.wnid)
        notes = unfiltered("a folder", queries[0], knows=()) if queries else ()
        if found is not None and (found.census.left_out or found.census.folders):
            notes = (*notes, f"{cls.wnid}: {found.census.says()}")
        if not files:
            return SearchPlan((), (*notes, f"{self._root / cls.wnid}: no such folder, or no images in it"))
        below = self._root / cls.wnid
        names = [os.fsencode(file.relative_to(below)).decode(errors="backslashreplace") for file in files]
        sizes = [file.stat().st_size for file in files]
        listing = fingerprint(list(zip(names, sizes, strict=True)))[:12]
        asked = tuple(only(query, f"{cls.wnid}/@{listing}") for query in queries[:1])
        left_out = found.census.reasons() if found is not None else {}
        return SearchPlan(asked, notes, {query.text: left_out for query in asked})

    def search(self, query: Query, after: str | None = None) -> Iterator[Page]:
        """The images of the class by file name."""
        files, start = self._files(query.wnid), int(after or 0)
        while True:
            end = start + LOCAL_PAGE
            images = [_image(file) for file in files[start:end]]
            found = tuple(image for image in images if image is not None)
            yield Page(found, str(end) if end < len(files) else None, len(images) - len(found))
            if end >= len(files):
                return
            start = end

    def _files(self, wnid: str) -> list[Path]:
        found = self._found(wnid)
        return [] if found is None else [found.root / name for name in found.images]

    def _found(self, wnid: str) -> Walked | None:
        """What is in the class's folder, folders inside it too; None where there is no such folder."""
        folder = self._root / wnid
        try:
            return walk(folder) if Path(wnid).name == wnid and folder.is_dir() else None
        except OSError:
            return None


def _image(file: Path) -> Image | None:
    """A file as an image; None when it cannot be read."""
    try:
        sha256 = sha256_of(file)
    except OSError:
        return None
    return Image(
        image_id=image_id_of("folder", sha256),
        source="folder",
        source_id=sha256,
        url=file.as_uri(),
        title=text_or_none(file.name),
    )
