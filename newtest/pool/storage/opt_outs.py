"""Rows that people asked to have left out: remembered in the pool, by uid or by URL.

``__newtest/opt-outs/uids.txt`` and ``urls.txt`` hold 32 hex digits a line, sorted: uids, and the first 128 bits of
blake2b over each URL as it is written, so that the list shows nobody whose pictures they are. A list only grows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.config import fingerprint
from newtest.errors import PoolError, UsageError
from newtest.pool.storage import uids as ids
from newtest.pool.storage.location import HOME
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.subset import Subset
from newtest.reading.failures import Unreadable
from newtest.reading.texts import read_lines

__all__ = ["OptOuts", "known", "remembered"]

_FILES = {"uids": f"{HOME}/opt-outs/uids.txt", "urls": f"{HOME}/opt-outs/urls.txt"}

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
    return OptOuts(*(_set(_read(pool, name)) for name in _FILES.values()))


def remembered(pool: Pool, urls: Path | None, uids: Path | None, *, write: bool = True) -> OptOuts:
    """What the pool remembers and what these files name, a URL or uid a line; written into the pool if ``write``.

    Raises UsageError for a file that cannot be read or holds no uid where one must be, and PoolError where the pool
    cannot be written to.
    """
    asked = {
        "uids": [] if uids is None else [_uid(line, uids) for line in _lines(uids)],
        "urls": [] if urls is None else [_hashed(line) for line in _lines(urls)],
    }
    sets = []
    for what, name in _FILES.items():
        old = _read(pool, name)
        both = sorted({*old, *asked[what]})
        if write and len(both) > len(set(old)):
            _write(pool, name, both)
        sets.append(_set(both))
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
        raise UsageError(f"{path}: not a text of one entry a line that can be read ({error})") from error
    return [line.strip() for line in lines if line.strip()]


def _read(pool: Pool, name: str) -> Sequence[str]:
    if not pool.place.exists(name):
        return []
    try:
        with pool.place.open(name) as handle:
            lines = handle.read().decode("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise PoolError(
            f"{pool.place.url}: {name} cannot be read, so nobody's wish is known ({error})"
        ) from error
    if any(ids.canonical(line) != line for line in lines):
        raise PoolError(f"{pool.place.url}: {name} is damaged: a line is not 32 hex digits; restore it")
    return lines


def _write(pool: Pool, name: str, lines: Iterable[str]) -> None:
    try:
        with pool.place.writing(name) as path:
            path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    except OSError as error:
        raise PoolError(
            f"{pool.place.url}: {name} cannot be written, so nothing was remembered ({error})"
        ) from error


def _set(lines: Sequence[str]) -> Subset:
    if not lines:  # pa.array would import pandas, which takes longer than a filter
        return Subset.of(np.empty(0, ids.UID))
    return Subset.of(ids.from_arrow(pa.array(sorted(set(lines)), pa.string())))
