"""A subset: sorted ids, and the manifest that says how they were chosen.

The file is DataComp's: an ``.npy`` of dtype "u8,u8", sorted; an id that stands k times means k copies of the sample.
Beside ``subset.npy`` lies ``subset.json``, which carries rules, thresholds, counts and the fingerprints of
what was read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from newtest.errors import PoolError
from newtest.outputs import made_path
from newtest.pool.storage import uids as ids
from newtest.pool.storage.uids import UID, Uids
from newtest.reading.arrays import load_array
from newtest.reading.jsons import read_json

if TYPE_CHECKING:
    from newtest.pool.storage.pool import Pool
from newtest.version import __version__

__all__ = ["Subset", "chosen_rows", "difference", "intersection", "read", "read_all", "union", "write"]

FORMAT = "newtest-subset"


@dataclass(frozen=True)
class Subset:
    """Sorted ``uids``, shape (n,) of dtype ``UID``, copies included, and where they came from."""

    uids: Uids
    manifest: Mapping[str, Any] = field(default_factory=dict)
    rows: npt.NDArray[np.uint8] | None = None
    """Which rows of its pool were chosen, a bit each (``chosen_rows``): rows may share a uid. None: ids alone."""
    rules: npt.NDArray[np.uint8] | None = None
    """By which rule each row of its pool was dropped: 0 for one that stays, else 1 and on, in the order of the
    manifest's ``dropped_by``. None where nobody asked."""

    @classmethod
    def of(
        cls, uids: Uids, manifest: Mapping[str, Any] | None = None, rows: npt.NDArray[np.uint8] | None = None
    ) -> Subset:
        """A subset of ids in any order."""
        return cls(ids.ordered([uids]), dict(manifest or {}), rows)

    def __len__(self) -> int:
        return len(self.uids)

    def copies(self, wanted: Uids) -> npt.NDArray[np.int64]:
        """How many copies of each wanted id the subset holds, shape (n,); 0 where it is not a member."""
        places = self.places(wanted)
        counts = np.append(self._counts, 0)
        return np.asarray(counts[places], np.int64)  # -1, for no member, reads the last: 0

    def places(self, wanted: Uids) -> npt.NDArray[np.int64]:
        """Where each wanted id stands among the distinct ones, shape (n,); -1 where it is not a member."""
        distinct = self._distinct
        if not len(distinct):
            return np.full(len(wanted), -1, np.int64)
        found = np.minimum(np.searchsorted(self._high, wanted["f0"], "left"), len(distinct) - 1)
        places = np.where(distinct[found] == wanted, found, -1).astype(np.int64)
        if self._shared:  # ids that share their high word with another member: none, where ids are hashes
            for query in np.flatnonzero(places < 0):
                places[query] = self._shared.get(wanted[query].item(), -1)
        return places

    def distinct(self) -> Uids:
        """Every id once, sorted."""
        return self._distinct

    @cached_property
    def _distinct(self) -> Uids:
        return self.uids[_starts(self.uids)]

    @cached_property
    def _counts(self) -> npt.NDArray[np.int64]:
        starts = np.flatnonzero(_starts(self.uids))
        return np.diff(np.append(starts, len(self.uids)))

    @cached_property
    def _high(self) -> npt.NDArray[np.uint64]:
        return np.ascontiguousarray(self._distinct["f0"])

    @cached_property
    def _shared(self) -> dict[tuple[int, int], int]:
        later = np.flatnonzero(self._high[1:] == self._high[:-1]) + 1
        return {self._distinct[place].item(): int(place) for place in later}


def chosen_rows(pool: Pool, stays: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """The rows that stay, shape (n,) in the pool's order, as bits: each shard's begin with a byte of their own."""
    ends = np.cumsum([pool.rows(shard) for shard in pool.shards])
    return np.concatenate([np.packbits(part) for part in np.split(stays, ends[:-1])])


def read(path: Path) -> Subset:
    """Read a subset and its manifest, where it has one. Raises PoolError for a file that is not sorted "u8,u8"."""
    try:
        array = load_array(path)
    except FileNotFoundError as error:
        raise PoolError(
            f"{path}: there is no such subset; name one that filter-pool or dedup-pool wrote"
        ) from error
    except (OSError, ValueError) as error:
        raise PoolError(f"{path}: not a subset file that can be read ({error})") from error
    if array.ndim != 1 or array.dtype.names is None or len(array.dtype.names) != 2:
        raise PoolError(f'{path}: a subset is one column of dtype "u8,u8", this file holds {array.dtype}')
    uids = np.empty(len(array), UID)
    for ours, theirs in zip(("f0", "f1"), array.dtype.names, strict=True):
        if array.dtype[theirs].kind != "u" or array.dtype[theirs].itemsize != 8:
            raise PoolError(f'{path}: a subset is one column of dtype "u8,u8", this file holds {array.dtype}')
        uids[ours] = array[theirs]
    if _unsorted(uids):
        raise PoolError(f"{path}: the ids are not sorted; sort the array and save it again")
    manifest = _read_manifest(manifest_path(path))
    rows = _read_beside(rows_path(path), manifest.get("rows_chosen"))
    return Subset(uids, manifest, rows, _read_beside(rules_path(path), manifest.get("rules_chosen")))


def write(subset: Subset, path: Path) -> None:
    """Write ``path``, the manifest and the chosen rows beside it: by rename, once all are written, the ids last.

    Equal subsets give equal bytes: the manifest carries no time of day.
    """
    manifest = {
        "format": FORMAT,
        "version": 1,
        "newtest": __version__,
        "rows": len(subset),
        "distinct": int(np.count_nonzero(_starts(subset.uids))),
        **{
            key: value
            for key, value in subset.manifest.items()
            if key not in ("format", "version", "newtest", "rows", "distinct", "rows_chosen", "rules_chosen")
        },
    }
    if subset.rows is not None:
        manifest["rows_chosen"] = hashlib.sha256(subset.rows.tobytes()).hexdigest()
    if subset.rules is not None:
        manifest["rules_chosen"] = hashlib.sha256(subset.rules.tobytes()).hexdigest()
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with ExitStack() as together:  # all are written before the first appears
        temporary = together.enter_context(made_path(path))
        said = together.enter_context(made_path(manifest_path(path)))
        for array, beside in ((subset.rows, rows_path(path)), (subset.rules, rules_path(path))):
            if array is not None:
                with open(together.enter_context(made_path(beside)), "wb") as handle:
                    _write_array(handle, array)
        said.write_text(text, encoding="utf-8")
        with open(temporary, "wb") as handle:
            _write_array(handle, subset.uids)


def _write_array(handle: IO[bytes], array: npt.NDArray[Any]) -> None:
    """As np.save does, which would tell of a full disk by an error without a number."""
    np.lib.format.write_array_header_1_0(handle, np.lib.format.header_data_from_array_1_0(array))
    handle.write(np.ascontiguousarray(array).view(np.uint8).data)


def rows_path(path: Path) -> Path:
    """Where the rows of a subset file lie: ``subset.npy`` has ``subset.rows.npy``."""
    return path.with_suffix(".rows.npy")


def rules_path(path: Path) -> Path:
    """Where lies what dropped each row: ``subset.npy`` has ``subset.rules.npy``."""
    return path.with_suffix(".rules.npy")


def _read_beside(path: Path, sha256: object) -> npt.NDArray[np.uint8] | None:
    """An array that was written with this very subset; None where it is gone or another's."""
    if sha256 is None:
        return None
    try:
        array = load_array(path)
    except (OSError, ValueError):
        return None
    same = array.dtype == np.uint8 and hashlib.sha256(array.tobytes()).hexdigest() == sha256
    return array if same else None


def manifest_path(path: Path) -> Path:
    """Where the manifest of a subset file lies: ``subset.npy`` has ``subset.json``."""
    return path.with_suffix(".json") if path.suffix == ".npy" else path.with_name(path.name + ".json")


def union(*subsets: Subset) -> Subset:
    """Every id of any subset; one that several hold keeps the largest number of copies."""
    return _combined("union", np.max, subsets)


def intersection(*subsets: Subset) -> Subset:
    """The ids that all subsets hold, with the smallest number of copies."""
    return _combined("intersection", np.min, subsets)


def read_all(paths: Sequence[Path]) -> Subset:
    """The subset of one file, or what the subsets of several files have in common. Raises PoolError."""
    found = [read(path) for path in paths]
    return found[0] if len(found) == 1 else intersection(*found)


def difference(left: Subset, right: Subset) -> Subset:
    """The ids of ``left``, copies included, that ``right`` does not hold at all."""
    kept = left.uids[right.copies(left.uids) == 0]
    return Subset(kept, {"operation": "difference", "operands": [dict(left.manifest), dict(right.manifest)]})


def _combined(name: str, choose: Any, subsets: tuple[Subset, ...]) -> Subset:
    if not subsets:
        raise PoolError(f"the {name} of no subsets is not defined; name at least one")
    everything = Subset.of(ids.concatenated(subset.distinct() for subset in subsets)).distinct()
    counts = choose(np.stack([subset.copies(everything) for subset in subsets]), axis=0)
    return Subset(
        np.repeat(everything, counts),
        {"operation": name, "operands": [dict(subset.manifest) for subset in subsets]},
    )


def _starts(uids: Uids) -> npt.NDArray[np.bool_]:
    starts = np.ones(len(uids), np.bool_)
    starts[1:] = uids[1:] != uids[:-1]
    return starts


def _unsorted(uids: Uids) -> bool:
    high, low = uids["f0"], uids["f1"]
    falls = (high[1:] < high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] < low[:-1]))
    return bool(falls.any())


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        manifest = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise PoolError(
            f"{path}: the subset's manifest cannot be read ({error}); remove it to read the ids alone"
        ) from error
    if not isinstance(manifest, dict):
        raise PoolError(
            f"{path}: the subset's manifest is not a JSON object; remove it to read the ids alone"
        )
    return manifest
