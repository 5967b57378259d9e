"""WebDataset tars: samples are runs of members that share a path up to the first dot of their base name.

A tar is a stranger's file: it is read from front to back, never unpacked, compressed or not; links, folders and devices
are passed over, and a member that is larger than allowed, or makes its sample so, is left out with a reason. Hidden
members (``._photo.jpg`` of a Mac) and those without a suffix are in no sample, as in the libraries ``webdataset`` and
``datasets``. Where those two would make two samples of one key, or let one member hide another, there is an error.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import IO, cast

from newtest.errors import PoolError
from newtest.images import SUFFIXES, kind_of
from newtest.images.kinds import HEAD
from newtest.pool.storage.image_files import MAX_IMAGE
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.uids import canonical
from newtest.reading.jsons import parse_json
from newtest.reading.tars import TarDamage, members
from newtest.sets import is_foreign_path

__all__ = ["IMAGE_SUFFIXES", "Sample", "samples"]

IMAGE_SUFFIXES = frozenset(suffix[1:] for suffix in SUFFIXES)
_TEXTS = frozenset({"txt", "text", "caption", "json"})
MAX_MEMBER = MAX_IMAGE
MAX_SAMPLE = 2 * MAX_MEMBER
_PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
Passed = Callable[[str, str], None]


class TarOrder(ValueError):
    """A whole tar whose members make no samples; the text says why."""


@dataclass
class Sample:
    """A key and its members by suffix ("jpg", "txt", "json", ...), in the tar's order."""

    key: str
    members: dict[str, bytes] = field(default_factory=dict)
    too_big: list[str] = field(default_factory=list)
    lacking: str | None = None
    """Why a table's row has no image; None where a tar just has none."""
    chosen: str | None = None
    """The suffix of the picture, where somebody chose it."""

    @property
    def images(self) -> list[str]:
        """The suffixes of the members that are pictures by their last part: "jpg", also "left.jpg". Where there are
        none, those that are pictures by their bytes.
        """
        named = [suffix for suffix in self.members if suffix.rpartition(".")[2] in IMAGE_SUFFIXES]
        return named or [
            suffix
            for suffix, data in self.members.items()
            if suffix.rpartition(".")[2] not in _TEXTS and kind_of(data[:HEAD])
        ]

    @property
    def image(self) -> bytes | None:
        """The picture's bytes: of the chosen member, of the only one with a plain suffix, else of the only one. None
        where there is none, where several are plain ("jpg" and "png": nobody knows which is meant), and where several
        photos share the key because of dots in their names.
        """
        if self.chosen in self.members:
            return self.members[str(self.chosen)]
        found = self.images
        only = [suffix for suffix in found if "." not in suffix] or found
        return self.members[only[0]] if len(only) == 1 else None

    @property
    def why(self) -> str:
        """Why there is no image, where there is none."""
        if len(self.images) > 1 and self.image is None:
            return f"several images ({', '.join(self.images)}); choose one with `image_col`"
        return self.lacking or ("too-many-bytes" if self.too_big else "no image")

    @property
    def described(self) -> dict[str, object]:
        """The ``.json`` member; empty where there is none that can be read. What is not an object is called
        ``json``."""
        try:
            value = parse_json(self.members.get("json", b"{}"))
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {"json": value}

    def said(self, where: str) -> dict[str, object]:
        """The same; raises PoolError for a broken ``.json``."""
        if "json" in self.members:
            try:
                parse_json(self.members["json"])
            except (ValueError, RecursionError) as error:
                raise PoolError(
                    f"{where}.json: not JSON ({error}); write the tar again without it"
                ) from error
        return self.described

    @property
    def uid(self) -> str | None:
        """The ``uid`` of the ``.json``, as 32 hex digits."""
        return canonical(self.described.get("uid"))


def samples(
    pool: Pool, shard: Shard, keys: Container[str] | None = None, passed: Passed | None = None
) -> Iterator[Sample]:
    """The samples of a shard's tar, in order; with ``keys`` those alone, and the others' bytes are not read.

    ``passed(name, reason)`` is told of members that are in no sample. Raises PoolError for a tar that is missing, cut
    short or damaged, and for one that holds a member twice or the members of a sample apart."""
    if shard.tar is None:
        raise PoolError(
            f"{pool.place.url}: shard {shard.name} has no tar beside it, so there are no images to read"
        )
    where = f"{pool.place.url}: {shard.tar.name}"
    try:
        with pool.place.open(shard.tar) as handle, _plain(handle) as plain:
            for sample in _grouped(plain, keys, passed):
                sample.chosen = pool.image_col
                yield sample
    except FileNotFoundError as error:
        raise PoolError(f"{where} has vanished since the pool was listed") from error
    except TarOrder as error:
        raise PoolError(f"{where}: {error}") from error
    except (TarDamage, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise PoolError(f"{where} is not a whole tar ({error}); fetch it again or move it away") from error


def _plain(handle: IO[bytes]) -> IO[bytes]:
    """The tar itself, whatever it is packed with."""
    start = handle.read(6)
    handle.seek(0)
    for mark, opened in _PACKED:
        if start.startswith(mark):
            return cast(IO[bytes], opened(handle, "rb"))
    return handle


def _grouped(handle: IO[bytes], keys: Container[str] | None, passed: Passed | None) -> Iterator[Sample]:
    current: Sample | None = None
    done: set[str] = set()
    for name, data in members(handle, MAX_MEMBER, _chosen(keys, passed), passed):
        key, suffix = _parted(name)
        if current is None or current.key != key:
            if current is not None:
                done.add(current.key)
                yield current
            if key in done:
                raise TarOrder(
                    f"the members of sample {key!r} do not stand side by side (again at {name!r}); write the "
                    "tar again, sorted by name"
                )
            current = Sample(key)
        if suffix in current.members or suffix in current.too_big:
            raise TarOrder(
                f"the member {name!r} stands there twice; write the tar again without one of the two"
            )
        if data is None or sum(map(len, current.members.values())) + len(data) > MAX_SAMPLE:
            current.too_big.append(suffix)
        else:
            current.members[suffix] = data
    if current is not None:
        yield current


def _chosen(keys: Container[str] | None, passed: Passed | None) -> Callable[[str], bool]:
    def chosen(name: str) -> bool:
        path = name.removeprefix("./")
        base = path.rpartition("/")[2]
        reason = (
            "hidden or made by the system" if is_foreign_path(path) or base.startswith("__")
            else "without a suffix" if "." not in base else None
        )  # fmt: skip
        if reason is not None and passed is not None:
            passed(name, reason)
        return reason is None and (keys is None or _parted(name)[0] in keys)

    return chosen


def _parted(name: str) -> tuple[str, str]:
    """Key and suffix (lower case) of a member: its path up to the first dot of its base name, and what comes after."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    key, _, suffix = base.partition(".")
    return folder + slash + key, suffix.lower()
