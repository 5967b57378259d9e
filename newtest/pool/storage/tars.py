"""WebDataset tars: samples are runs of members that share a path up to the first dot of their base name.

A tar is a stranger's file: it is read from front to back, never unpacked; links, folders and devices are passed over,
and a member that is larger than allowed, or makes its sample so, is left out with a reason.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import IO

from newtest.errors import PoolError
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.tar_format import TarDamage, members

__all__ = ["IMAGE_SUFFIXES", "Sample", "samples"]

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
MAX_MEMBER = 64 * 2**20
MAX_SAMPLE = 2 * MAX_MEMBER


@dataclass
class Sample:
    """A key and its members by suffix ("jpg", "txt", "json", ...), in the tar's order."""

    key: str
    members: dict[str, bytes] = field(default_factory=dict)
    too_big: list[str] = field(default_factory=list)

    @property
    def image(self) -> bytes | None:
        """The picture's bytes, None where there is none."""
        return next((data for suffix, data in self.members.items() if suffix in IMAGE_SUFFIXES), None)

    @property
    def described(self) -> dict[str, object]:
        """The ``.json`` member; empty where there is none that can be read."""
        try:
            value = json.loads(self.members.get("json", b"{}"))
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def uid(self) -> str | None:
        """The ``uid`` of the ``.json``."""
        uid = self.described.get("uid")
        return uid if isinstance(uid, str) else None


def samples(pool: Pool, shard: Shard, keys: Container[str] | None = None) -> Iterator[Sample]:
    """The samples of a shard's tar, in order; with ``keys`` those alone, and the others' bytes are not read.

    Raises PoolError for a tar that is missing, cut short or damaged."""
    if shard.tar is None:
        raise PoolError(
            f"{pool.place.url}: shard {shard.name} has no tar beside it, so there are no images to read"
        )
    where = f"{pool.place.url}: {shard.tar.name}"
    try:
        with pool.place.open(shard.tar.name) as handle:
            yield from _grouped(handle, keys)
    except FileNotFoundError as error:
        raise PoolError(f"{where} has vanished since the pool was listed") from error
    except TarDamage as error:
        raise PoolError(f"{where} is not a whole tar ({error}); fetch it again or move it away") from error


def _grouped(handle: IO[bytes], keys: Container[str] | None) -> Iterator[Sample]:
    current: Sample | None = None
    wanted = None if keys is None else (lambda name: _parted(name)[0] in keys)
    for name, data in members(handle, MAX_MEMBER, wanted):
        key, suffix = _parted(name)
        if current is None or current.key != key:
            if current is not None:
                yield current
            current = Sample(key)
        if data is None or sum(map(len, current.members.values())) + len(data) > MAX_SAMPLE:
            current.too_big.append(suffix.lower())
        else:
            current.members[suffix.lower()] = data
    if current is not None:
        yield current


def _parted(name: str) -> tuple[str, str]:
    """Key and suffix of a member: its path up to the first dot of its base name, and what comes after."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    key, _, suffix = base.partition(".")
    return folder + slash + key, suffix
