"""Class folders: ``ROOT/CLASS/any/name.jpg``, as torchvision's ImageFolder and everybody else keeps them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from newtest.sets.census import Census, LeftOut
from newtest.sets.walking import walk

__all__ = ["ClassFolders", "FolderImage", "ids_of", "read_class_folders"]

_PUBLISHED = re.compile(r"[0-9a-f]{40}")
NO_CLASS = "in no class folder"


@dataclass(frozen=True)
class FolderImage:
    """``file``: the path below the root, with ``/``. ``path``: where it lies."""

    image_id: str
    cls: str
    file: str
    path: Path


@dataclass(frozen=True)
class ClassFolders:
    """``images`` by class, folder and name, which is the order of torchvision's ImageFolder; ``classes``: all class
    folders, those without an image too.
    """

    root: Path
    images: tuple[FolderImage, ...]
    classes: tuple[str, ...]
    census: Census

    def with_class(self, cls: str) -> tuple[FolderImage, ...]:
        """The images of one class."""
        return tuple(image for image in self.images if image.cls == cls)


def read_class_folders(root: Path) -> ClassFolders:
    """The images of a folder of class folders; a folder without any is not an error. Raises OSError."""
    walked = walk(root)
    loose = [LeftOut(name, NO_CLASS) for name in walked.images if "/" not in name]
    files = [name for name in walked.images if "/" in name]
    images = sorted(
        (
            FolderImage(image_id, name.partition("/")[0], name, root / name)
            for name, image_id in zip(files, ids_of(files), strict=True)
        ),
        key=lambda image: (image.cls, *image.file.rpartition("/")[::2]),
    )
    left_out = sorted((*walked.census.left_out, *loose), key=lambda entry: entry.name)
    census = replace(
        walked.census,
        images=len(images),
        left_out=tuple(left_out),
        nested=sum(name.count("/") > 1 for name in files),
    )
    return ClassFolders(root, tuple(images), walked.top, census)


def ids_of(files: Sequence[str]) -> list[str]:
    """The ids of files ``CLASS/.../NAME``, by one rule for every command.

    The id is the file's name, under which sets are published (``ILSVRC2012_val_00000293.JPEG``). A name of 40 hex
    digits is an id of ImageNetV2 or newtest, which stands without its suffix. Where several files have one name, each
    of them is called by its whole path with ``_`` for ``/``.
    """
    names = [name.rpartition("/")[2] for name in files]
    stems = [name.partition(".")[0] for name in names]
    times = Counter(names)
    return [
        stem if _PUBLISHED.fullmatch(stem) else name if times[name] == 1 else file.replace("/", "_")
        for file, name, stem in zip(files, names, stems, strict=True)
    ]
