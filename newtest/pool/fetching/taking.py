"""Images that were downloaded before: of tars whose samples tell their uid in a ``.json``, as img2dataset writes them.

They go into the journals as downloads do, so that nobody is asked for them. What is wrong with one is found by the same
door, and it is downloaded instead. A run that was stopped reads the tars again and adds what the journals lack.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.download import Download
from newtest.errors import ImageError, PoolError
from newtest.images import check
from newtest.pool.fetching.shards import Fetched, Shards
from newtest.pool.journal import Journal, part_of
from newtest.pool.storage import uids as ids
from newtest.pool.storage.claims import LAYERS
from newtest.pool.storage.location import Entry, place_of
from newtest.pool.storage.pool import TARS, Pool, Shard, stem_of
from newtest.pool.storage.tars import Sample, samples
from newtest.progress import UNWATCHED, Progress, watched

__all__ = ["Taken", "take"]

OPEN = 64
"""Journals that are open at once."""


@dataclass
class Taken:
    """How many images were taken for rows of the table, samples that no row asks for, and what was left out, by reason.

    ``damaged`` says which tars could not be read to their end.
    """

    images: int = 0
    unasked: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        return {
            "images": self.images,
            "samples_without_a_row": self.unasked,
            "left_out": dict(self.left_out.most_common()),
            "damaged": self.damaged,
        }


def take(
    shards: Shards,
    batches: Iterable[tuple[str, pa.Table]],
    folders: Sequence[str],
    most: int,
    generation: str,
    progress: Progress = UNWATCHED,
) -> Taken:
    """Put the images of tars below the folders into the journals of the shards that lack them; ``most`` bytes each.

    ``generation`` begins the names of this run's journals, so that what is there holds over an earlier failure.
    About 120 bytes per row of the table are held. Raises PoolError for a folder without tars.
    """
    tars = [(pool, tar) for folder in folders for pool, tar in _tars(folder)]
    wanted, taken = _Wanted.of(shards, batches), Taken()
    with ExitStack() as stack:
        journals = _Open(shards, f"{generation}-have", stack)
        for pool, shard in watched(progress, "reading tars", tars, len(tars)):
            for sample in _samples(pool, shard, taken):
                _take(sample, wanted, journals, most, taken)
    return taken


def _tars(folder: str) -> Iterator[tuple[Pool, Shard]]:
    place = place_of(folder)
    tars = [entry for entry in place.entries() if entry.name.endswith(TARS)]
    if not tars:
        raise PoolError(f"{folder}: there are no tars here to take images from")
    pool = Pool(folder, (), f"{place.url}/{LAYERS}")
    for tar in tars:
        yield pool, Shard(stem_of(tar), Entry(f"{stem_of(tar)}.parquet", 0), tar)


def _samples(pool: Pool, shard: Shard, taken: Taken) -> Iterator[Sample]:
    """Those of a tar, as far as it can be read: what it lacks may be downloaded."""
    try:
        yield from samples(pool, shard)
    except PoolError as error:
        taken.damaged.append(str(error))


def _take(sample: Sample, wanted: _Wanted, journals: _Open, most: int, taken: Taken) -> None:
    uid = sample.uid
    if uid is None:
        taken.left_out["no uid in its .json"] += 1
        return
    rows = wanted.rows(uid)
    if not len(rows):
        taken.unasked += 1
        return
    data = sample.image
    why = sample.why if data is None else "too-many-bytes" if len(data) > most else _wrong(data)
    if data is None or why is not None:  # it is downloaded instead
        taken.left_out[str(why)] += 1
        return
    for row in rows[~wanted.done[rows]].tolist():
        shard, url = wanted.shard_and_url(row)
        journals.of(shard).add(uid, url, Download(uid, data))
        wanted.done[row] = True
        taken.images += 1


def _wrong(data: bytes) -> str | None:
    """Why bytes are not an image, in a word."""
    try:
        check(data)
    except ImageError as error:
        return error.kind
    return None


@dataclass(frozen=True)
class _Wanted:
    """The rows that lack an image: their uids, sorted, (n,), and of each the shard's number, the URL, and whether it is
    ``done`` by now.
    """

    uids: ids.Uids
    shards: npt.NDArray[np.int32]
    urls: pa.ChunkedArray
    order: npt.NDArray[np.int64]
    names: Mapping[int, str]
    done: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, shards: Shards, batches: Iterable[tuple[str, pa.Table]]) -> _Wanted:
        uids, numbers, urls, names = [], [], [], {}
        for number, (name, batch) in enumerate(batches):
            plan = shards.plan(name, batch)
            if isinstance(plan, Fetched) or not plan:
                continue
            names[number] = name
            uids.append(ids.from_arrow(pa.array([uid for uid, _ in plan], pa.string())))
            urls.append(pa.array([url for _, url in plan], pa.large_string()))
            numbers.append(np.full(len(plan), number, np.int32))
        every = ids.concatenated(uids)
        order = np.argsort(every, order=("f0", "f1"), kind="stable")
        return cls(
            every[order],
            np.concatenate([np.empty(0, np.int32), *numbers]),
            pa.chunked_array(urls, pa.large_string()),
            order,
            names,
            np.zeros(len(every), np.bool_),
        )

    def rows(self, uid: str) -> npt.NDArray[np.int64]:
        """The rows that have this uid."""
        one = ids.from_arrow(pa.array([uid], pa.string()))[0]
        low, high = (int(np.searchsorted(self.uids, one, side)) for side in ("left", "right"))
        return self.order[low:high]

    def shard_and_url(self, row: int) -> tuple[str, str]:
        return self.names[int(self.shards[row])], str(self.urls[int(row)].as_py())


class _Open:
    """The journals of shards, the last ones used of them open."""

    def __init__(self, shards: Shards, part: str, stack: ExitStack) -> None:
        self.shards, self.part, self.open = shards, part, OrderedDict[str, Journal]()
        stack.callback(self.close)

    def of(self, shard: str) -> Journal:
        if shard not in self.open:
            if len(self.open) >= OPEN:
                self.open.popitem(last=False)[1].__exit__(None, None, None)
            self.open[shard] = Journal(part_of(self.shards.folder, shard, self.part))
        self.open.move_to_end(shard)
        return self.open[shard]

    def close(self) -> None:
        for journal in self.open.values():
            journal.__exit__(None, None, None)
