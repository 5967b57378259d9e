"""The images inside a release's tars and Parquet files: streamed, and held against the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Generic, Protocol, TypeVar

from newtest.files import open_bytes
from newtest.images import ImageLimits
from newtest.reading.jsons import parse_json
from newtest.reading.parquet import batches, open_parquet
from newtest.reading.tars import places
from newtest.reading.texts import read_at_most

__all__ = ["Contents", "contents_of", "pictures_of"]

T = TypeVar("T")


class _Readable(Protocol):
    """Bytes that are read from front to back."""

    def read(self, size: int, /) -> bytes:
        """At most so many of them; none at the end."""


_CHUNK = 1 << 20
_MOST_JSON = 1 << 20
_MOST_BYTES = ImageLimits().max_bytes
"""Of a larger picture so much is read that it is refused."""
_ROWS = 16
"""Images of a Parquet file that are held at a time."""
_DAMAGED = (OSError, ValueError, KeyError, TypeError)
"""What strangers' archives raise."""
_SIDECARS = ("cls", "json")


@dataclass(frozen=True)
class Contents:
    """What differs, by name: ``changed`` images have other bytes than the manifest says, ``strange`` ones are not
    members, ``missing`` are members that none of the archives of a form holds, ``unreadable`` are archives.
    """

    changed: tuple[str, ...]
    strange: tuple[str, ...]
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class _Inside(Generic[T]):
    """An image in an archive: its name there, whose it says to be, and what was made of its bytes."""

    name: str
    image_id: str
    wnid: str
    made: T


def contents_of(archives: Sequence[Path], expected: Mapping[tuple[str, str], str]) -> Contents:
    """Hash every image of ``archives`` (tars and Parquet files); ``expected``: (image_id, wnid) -> sha256."""
    changed: list[str] = []
    strange: list[str] = []
    unreadable: list[str] = []
    seen: dict[str, set[tuple[str, str]]] = {}
    for archive in archives:
        found = seen.setdefault(archive.suffix, set())
        try:
            for image in _inside(archive, _digest):
                key = image.image_id, image.wnid
                place = f"{archive}#{image.name}"
                if key not in expected:
                    strange.append(place)
                elif image.made != expected[key]:
                    changed.append(place)
                found.add(key)
        except _DAMAGED as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            unreadable.append(f"{archive} ({reason})")
    missing = [
        f"{image_id} in {wnid} ({suffix.lstrip('.')})"
        for suffix, keys in sorted(seen.items())
        for image_id, wnid in sorted(expected.keys() - keys)
    ]
    return Contents(tuple(changed), tuple(strange), tuple(missing), tuple(unreadable))


def pictures_of(archives: Sequence[Path], wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
    """(image_id, bytes) of the wanted images, each once. An archive that cannot be read to its end is left there:
    ``contents_of`` names it.
    """
    given: set[str] = set()
    for archive in archives:
        try:
            for image in _inside(archive, lambda content: read_at_most(content, _MOST_BYTES)):
                if image.image_id in wanted and image.image_id not in given:
                    given.add(image.image_id)
                    yield image.image_id, image.made
        except _DAMAGED:
            continue


def _inside(archive: Path, make: Callable[[_Readable], T]) -> Iterator[_Inside[T]]:
    return (_of_tar if archive.suffix == ".tar" else _of_parquet)(archive, make)


def _of_tar(path: Path, make: Callable[[_Readable], T]) -> Iterator[_Inside[T]]:
    """A sample is the run of members of one key (WebDataset): the image, and the ``.json`` that says whose it is."""
    with open_bytes(path) as tar:
        sample = ""
        image: tuple[str, T] | None = None
        about: dict[str, Any] = {}
        for name, start, size in places(tar):
            folder, slash, base = name.rpartition("/")
            stem, _, suffix = base.partition(".")
            key = f"{folder}{slash}{stem}"
            if key != sample:
                yield from _sample(image, about)
                sample, image, about = key, None, {}
            tar.seek(start)
            if suffix == "json":
                told = parse_json(tar.read(min(size, _MOST_JSON)))
                about = told if isinstance(told, dict) else {}
            elif suffix not in _SIDECARS:
                image = name, make(_Part(tar, size))
        yield from _sample(image, about)


class _Part:
    """A member's bytes: what is read ends where the member does."""

    def __init__(self, handle: IO[bytes], size: int) -> None:
        self._handle, self._left = handle, size

    def read(self, size: int) -> bytes:
        data = self._handle.read(min(size, self._left))
        self._left -= len(data)
        return data


def _sample(image: tuple[str, T] | None, about: Mapping[str, Any]) -> Iterator[_Inside[T]]:
    if image is not None:
        yield _Inside(image[0], str(about.get("image_id")), str(about.get("wnid")), image[1])


def _of_parquet(path: Path, make: Callable[[_Readable], T]) -> Iterator[_Inside[T]]:
    with open_parquet(path) as file:
        row = 0
        for batch in batches(file, _ROWS, ["image", "image_id", "wnid"]):
            for entry in batch.to_pylist():
                made = make(BytesIO(entry["image"]["bytes"]))
                yield _Inside(f"row {row}", str(entry["image_id"]), str(entry["wnid"]), made)
                row += 1


def _digest(content: _Readable) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
