"""The languages of captions, kept as a layer beside the shards, so that no detector is asked about a caption twice.

A detector is asked only about rows whose fate hangs on it, so the layer may know some rows of a shard and not others:
null is a row that nobody has asked about. A language depends on the detector and the caption alone, never on the rules
that asked. So what is known serves every recipe, the rest is asked when it is needed, and a shard's file is replaced
by one that knows more. Two runs at a time may lose each other's answers; that costs time, never a wrong row.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from newtest.errors import PoolError
from newtest.pool.filtering.language import DETECTORS, detect, identity
from newtest.pool.storage.columns import arrow, arrow_strings, coded
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.places import Entry
from newtest.pool.storage.pool import Pool, Shard

__all__ = ["LANGUAGES", "ShardLanguages", "column_of", "languages_layer", "languages_of"]

RULE = 1
"""The version of what this module computes; part of the layers' names."""


def column_of(detector: str) -> str:
    """The name under which filters read a detector's languages; no file of the pool holds it."""
    return f"newtest.language_{detector}"


LANGUAGES = {column_of(detector): detector for detector in DETECTORS}


def languages_layer(detector: str) -> Layer:
    """A detector's layer: ``language``, "" for a row without a caption, null where nobody has asked yet."""
    return Layer("languages", {"detector": detector, "model": identity(detector), "rule": RULE})


def languages_of(
    pool: Pool, shard: Shard, columns: Iterable[str], listed: Mapping[str, Entry] | None = None
) -> dict[str, ShardLanguages]:
    """Those of the columns that are languages, as far as the shard's layers know them. Raises PoolError.

    ``listed``: the files of the layers by name; None where nobody looked.
    """
    return {
        name: ShardLanguages(pool, shard, LANGUAGES[name], listed) for name in columns if name in LANGUAGES
    }


class ShardLanguages:
    """One shard's languages by one detector; ``asked`` and ``known`` count the captions that the model and the layer
    told.
    """

    def __init__(
        self, pool: Pool, shard: Shard, detector: str, listed: Mapping[str, Entry] | None = None
    ) -> None:
        self.pool, self.detector, self.layer = pool, detector, languages_layer(detector)
        self.asked = self.known = 0
        self._file = self.layer.file(pool, shard)
        self._codes = np.full(pool.rows(shard), -1, np.int16)
        self._names: dict[str, int] = {}
        self._kept = listed is None or self._file in listed
        if self._kept:
            self._recall(shard, None if listed is None else listed[self._file])

    def _recall(self, shard: Shard, listed: Entry | None) -> None:
        try:
            codes, names = coded(self.layer.table(self.pool, shard, ["language"], listed)["language"])
        except PoolError:  # none there, or a damaged one: what is needed is asked, and replaces it
            self._kept = False
        else:
            self._codes[:] = codes
            self._names = {name: code for code, name in enumerate(names)}

    def column(self, rows: npt.NDArray[np.intp], texts: pa.ChunkedArray) -> pa.Array:
        """The languages of these rows of the shard, whose captions are ``texts``; what is not known is asked."""
        codes = self._codes[rows]
        unknown = np.flatnonzero(codes < 0)
        before = self.asked
        if len(unknown):
            codes[unknown] = self._ask(texts.take(arrow(unknown)).to_pylist())
            self._codes[rows] = codes
            self._kept = False
        self.known += len(texts) - texts.null_count - (self.asked - before)
        return pa.DictionaryArray.from_arrays(arrow(codes), arrow_strings(list(self._names)))

    def _ask(self, texts: list[str | None]) -> npt.NDArray[np.int16]:
        """A code per text."""
        present = [text for text in texts if text is not None]
        self.asked += len(present)
        answers = iter(detect(self.detector, present))
        found = ["" if text is None else next(answers) for text in texts]
        for name in dict.fromkeys(found):
            self._names.setdefault(name, len(self._names))
        return np.fromiter(map(self._names.__getitem__, found), np.int16, len(found))

    def keep(self) -> str | None:
        """Write what was learned; answers why it could not be kept. A full disk is raised (OSError).

        A subset does not hang on the layer: for a pool that cannot be written to, the next run asks again.
        """
        if self._kept:
            return None
        table = self._table()
        try:
            with self.pool.layers.writing(self._file) as path:
                pq.write_table(table, path, compression="zstd")
            self._kept = True
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            return str(error)
        except Exception as error:  # object stores refuse with exceptions of their own
            return str(error)
        return None

    def held(self) -> dict[str, dict[str, int]]:
        """What the shard's file holds, by its name, as a layer's manifest has it; nothing where it was not kept."""
        known = int(np.count_nonzero(self._codes >= 0))
        return {self._file: {"rows": len(self._codes), "failed": 0, "known": known}} if self._kept else {}

    def _table(self) -> pa.Table:
        """What is known; the names are sorted, so that the bytes don't tell in which order the answers came."""
        names = sorted(self._names)
        places = {name: place for place, name in enumerate(names)}
        renumbered = np.array([*(places[name] for name in self._names), -1], np.int16)
        codes = renumbered[self._codes]  # -1, not known, reads the last
        language = pa.DictionaryArray.from_arrays(arrow(codes, codes >= 0), arrow_strings(names))
        known = str(np.count_nonzero(codes >= 0))
        return pa.table({"language": language}).replace_schema_metadata(
            {"newtest.failed": "0", "newtest.known": known}
        )
