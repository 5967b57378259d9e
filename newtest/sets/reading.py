"""A set, whatever its form: the images by id and class, where their bytes lie, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from newtest.errors import NotFoundError, UsageError
from newtest.sets.census import Census
from newtest.sets.imagefolder import ClassFolders, read_class_folders
from newtest.sets.tables import read_rows

__all__ = ["ImageSet", "SetImage", "is_release", "of_class_folders", "read_image_set"]

SUMS, MANIFEST = "SHA256SUMS", "manifest.csv"


@dataclass(frozen=True)
class SetImage:
    """``path``: a file that holds the bytes, None where there is none; ``about``: the other columns of its row."""

    image_id: str
    cls: str
    path: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageSet:
    """``classes``: the class folders of a folder, those without images too; else the classes that images have."""

    root: Path
    kind: Literal["folder", "release", "table"]
    images: tuple[SetImage, ...]
    classes: tuple[str, ...]
    census: Census


def read_image_set(path: Path) -> ImageSet:
    """A folder of class folders, a release of newtest in any format (by its manifest), or a table (``tables.py``).

    Raises UsageError that names the path.
    """
    if path.is_dir():
        return _release(path) if is_release(path) else of_class_folders(_folders(path))
    if not path.exists():
        raise NotFoundError(f"{path}: no such file or folder")
    return _table(path, "table", path.parent)


def is_release(folder: Path) -> bool:
    """Whether a folder is a release that newtest wrote, whole or not."""
    return (folder / SUMS).is_file()


def of_class_folders(found: ClassFolders) -> ImageSet:
    """The same set, as images of any form."""
    images = tuple(
        SetImage(image.image_id, image.cls, image.path, {"file": image.file}) for image in found.images
    )
    return ImageSet(found.root, "folder", images, found.classes, found.census)


def _folders(path: Path) -> ClassFolders:
    try:
        return read_class_folders(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _release(folder: Path) -> ImageSet:
    found = _table(folder / MANIFEST, "release", folder)
    return ImageSet(folder, "release", found.images, found.classes, found.census)


def _table(path: Path, kind: Literal["release", "table"], base: Path) -> ImageSet:
    images = []
    for number, row in enumerate(read_rows(path), start=1):
        if row["image_id"] in (None, "") or row["wnid"] in (None, ""):
            raise UsageError(f"{path}, row {number}: an image without an id or without a class")
        about = {key: value for key, value in row.items() if key not in ("image_id", "wnid")}
        images.append(SetImage(str(row["image_id"]), str(row["wnid"]), _file_of(about, base), about))
    classes = tuple(sorted({image.cls for image in images}))
    return ImageSet(path, kind, tuple(images), classes, Census(len(images), len(images)))


def _file_of(row: Mapping[str, Any], base: Path) -> Path | None:
    """``path``, relative to the table; or ``file`` of a manifest, where it is a file inside its folder: of an image in
    a tar or a Parquet table the manifest says ``shards/a.tar#name``.
    """
    if (told := row.get("path")) and "\0" not in str(told):
        return base / str(told)
    told = row.get("file")
    if not isinstance(told, str) or not told or "#" in told or "\0" in told:
        return None
    place = Path(told)
    return base / place if not place.is_absolute() and ".." not in place.parts else None
