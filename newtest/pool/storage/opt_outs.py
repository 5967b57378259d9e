"""Rows that people asked to have left out: remembered in the pool, by uid or by URL.

``__newtest/opt-outs/`` holds files of 32 hex digits per line, sorted: ``uids-NAME.txt``, and ``urls-NAME.txt`` with the
first 128 bits of blake2b over each URL as it is written, so that a list shows nobody whose pictures they are. NAME is
made of what the file holds. A run adds one file with what is new and changes none, so two runs at once lose nothing,
on a store without locks too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.config import fingerprint
from newtest.errors import PoolError, UsageError
from newtest.pool.storage import uids as ids
from newtest.pool.storage.location import HOME, LocalPlace, place_of
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.subset import Subset
from newtest.reading.failures import Unreadable
from newtest.reading.texts import read_lines

__all__ = ["OptOuts", "known", "mask_of", "remembered", "rows_left_out"]

_KINDS = ("uids", "urls")
_FOLDER = f"{HOME}/opt-outs"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class OptOuts:
    """The uids and hashes of URLs that are left out, each once."""

    uids: Subset
    urls: Subset

    def __len__(self) -> int:
        return len(self.uids) + len(self.urls)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that tell whether a row is left out."""
        return (*(["uid"] if len(self.uids) else []), *(["url"] if len(self.urls) else []))

    @property
    def fingerprint(self) -> str:
        """What the lists hold, whatever the order in which they grew."""
        return fingerprint([ids.to_hex(each.uids).to_pylist() for each in (self.uids, self.urls)])

    def found(self, table: pa.Table) -> tuple[Mask, Mask]:
        """The rows that are left out by uid and those by URL, shape (n,) each. Raises PoolError for a bad uid."""
        nobody = np.zeros(len(table), np.bool_)
        by_uid = by_url = nobody
        if len(self.uids):
            by_uid = self.uids.copies(ids.from_arrow(table["uid"].combine_chunks())) > 0
        if len(self.urls):
            urls = [url or "" for url in table["url"].to_pylist()]
            by_url = self.urls.copies(ids.from_arrow(pa.array(map(_hashed, urls), pa.string()))) > 0
        return by_uid, by_url


def known(pool: Pool) -> OptOuts:
    """What the pool remembers. Raises PoolError for a list that cannot be read."""
    lists = _read(pool)
    return OptOuts(*(_set(lists[kind]) for kind in _KINDS))


def mask_of(pool: Pool, shard: Shard, opt_outs: OptOuts) -> Mask | None:
    """The shard's rows that are on the lists, (n,); None where the lists are empty. Raises PoolError."""
    if not len(opt_outs):
        return None
    parts = [np.empty(0, np.bool_)]
    parts += [np.logical_or(*opt_outs.found(batch)) for batch in pool.batches(shard, opt_outs.columns)]
    return np.concatenate(parts)


def rows_left_out(pool: Pool) -> Mask | None:
    """The pool's rows that are on its lists, in the pool's order; None where the lists are empty. Raises PoolError."""
    opt_outs = known(pool)
    masks = (mask_of(pool, shard, opt_outs) for shard in pool.shards)
    parts = [mask for mask in masks if mask is not None]
    return np.concatenate(parts) if parts else None


def remembered(pool: Pool, urls: Path | None, uids: Path | None, *, write: bool = True) -> OptOuts:
    """What the pool remembers and what these files name, one URL or uid per line; written into the pool if ``write``.

    Raises UsageError for a file that cannot be read or holds no uid where one must be, and PoolError where the pool
    has no URLs or cannot be written to.
    """
    asked = {
        "uids": [] if uids is None else [_uid(line, uids) for line in _lines(uids)],
        "urls": [] if urls is None else [_hashed(line) for line in _lines(urls)],
    }
    if urls is not None and (lacks := next((one for one in pool.shards if not pool.tells(one, "url")), None)):
        raise PoolError(
            f"{pool.place.url}: `remove_urls` needs a column of URLs; shard {lacks.name} has none"
        )
    sets, before = [], _read(pool)
    for kind in _KINDS:
        old = before[kind]
        new = sorted({*asked[kind]} - old)
        if write and new:
            _write(pool, kind, new)
        sets.append(_set({*old, *new}))
    return OptOuts(*sets)


def _hashed(url: str) -> str:
    return hashlib.blake2b(url.strip().encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _uid(line: str, path: Path) -> str:
    made = ids.canonical(line)
    if made is None:
        raise UsageError(
            f"`remove_uids`: {path} has the line {line[:60]!r}; a uid is 32 hex digits or a UUID"
        )
    return made


def _lines(path: Path) -> list[str]:
    try:
        lines = read_lines(path)
    except (OSError, UnicodeDecodeError, Unreadable) as error:
        raise UsageError(f"{path}: not a text of one entry per line that can be read ({error})") from error
    return [line.strip() for line in lines if line.strip()]


def _read(pool: Pool) -> dict[str, set[str]]:
    """The lists of each kind, by one listing: on a store it takes three requests."""
    place = place_of(f"{pool.place.url}/{_FOLDER}")
    known: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    try:
        if isinstance(place, LocalPlace) and place.root.exists():
            list(place.root.iterdir())  # a folder that cannot be listed is not an empty list
        for entry in place.entries():
            with place.open(entry) as handle:
                data = handle.read()
            kind = next((each for each in _KINDS if entry.name == _name(each, data)), None)
            if kind is None:
                raise PoolError(f"{place.url}: {entry.name} is damaged: it holds something else; restore it")
            known[kind].update(data.decode("ascii").split())
    except OSError as error:
        raise PoolError(f"{place.url} cannot be read, so nobody's wish is known ({error})") from error
    return known


def _write(pool: Pool, kind: str, lines: Sequence[str]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode("ascii")
    name = f"{_FOLDER}/{_name(kind, data)}"
    try:
        with pool.place.writing(name) as path:
            path.write_bytes(data)
    except OSError as error:
        raise PoolError(
            f"{pool.place.url}: {name} cannot be written, so nothing was remembered ({error})"
        ) from error


def _name(kind: str, data: bytes) -> str:
    """A file's name, by its bytes."""
    return f"{kind}-{hashlib.sha256(data).hexdigest()[:16]}.txt"


def _set(lines: set[str]) -> Subset:
    if not lines:  # pa.array would import pandas, which takes longer than a filter
        return Subset.of(np.empty(0, ids.UID))
    return Subset.of(ids.from_arrow(pa.array(sorted(lines), pa.string())))
