"""The two passes over a pool's captions that balancing makes: count what each query matches, then draw."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from newtest.engines import Engine, Resources
from newtest.pool.queries import automaton_of, matches
from newtest.pool.row_languages import RowLanguages
from newtest.pool.storage.opt_outs import OptOuts, known
from newtest.pool.storage.passes import merged
from newtest.pool.storage.pool import Pool, Shard
from newtest.progress import Progress

__all__ = ["ANY", "Counts", "Drawer", "Drawn", "counted"]

ANY = ""
"""The language of all captions where nobody asks for one."""
Counts = npt.NDArray[np.int64]


def counted(
    pool: Pool,
    queries: Mapping[str, Sequence[str]],
    languages: RowLanguages | None,
    engine: Engine,
    workers: int,
    progress: Progress,
) -> dict[str, Counts]:
    """For each language's queries how many captions of it contain each. Raises PoolError, MissingExtra."""
    counts = {name: np.zeros(len(own), np.int64) for name, own in queries.items()}
    make = partial(_Counter, pool, queries, languages)
    for part in merged(pool, make, engine, Resources(workers, light=True), progress, "counting"):
        for name, own in part.items():
            counts[name] += own
    return counts


@dataclass(frozen=True)
class _Row:
    uid: str
    text: str | None
    opted_out: bool
    language: str


class _Captions:
    """In a worker: a shard's captions, each with its language and whether somebody asked to have it left out."""

    def __init__(
        self, pool: Pool, queries: Mapping[str, Sequence[str]], languages: RowLanguages | None
    ) -> None:
        self.pool, self.languages = pool, languages
        self.automata = {name: automaton_of(own) for name, own in queries.items() if own}
        self.opt_outs: OptOuts = known(pool)
        self.not_kept: str | None = None
        """Why languages that were found could not be kept."""

    def rows(self, shard: Shard, *, keep: bool = True) -> Iterator[_Row]:
        """A shard's rows in order; languages that were found are kept, unless not to ``keep``."""
        further = self.languages.columns if self.languages else ()
        columns = dict.fromkeys(("uid", "text", *further, *self.opt_outs.columns))
        found = self.languages.of(shard) if self.languages else None
        for batch in self.pool.batches(shard, list(columns)):
            size = len(batch)
            out = (
                np.logical_or(*self.opt_outs.found(batch)) if len(self.opt_outs) else np.zeros(size, np.bool_)
            )
            said = [ANY] * size if found is None else found.of_batch(batch)
            for uid, text, gone, language in zip(
                batch["uid"].to_pylist(), batch["text"].to_pylist(), out.tolist(), said, strict=True
            ):
                yield _Row(uid, text, gone, language)
        if found is not None and keep:
            self.not_kept = found.keep() or self.not_kept

    def matched(self, row: _Row) -> set[int]:
        """The numbers of the queries, of the row's language, that its caption contains; none where it opted out."""
        if not row.text or row.opted_out or row.language not in self.automata:
            return set()
        return matches(self.automata[row.language], row.text)


class _Counter:
    """In a worker: how many captions of a shard contain each query."""

    def __init__(
        self, pool: Pool, queries: Mapping[str, Sequence[str]], languages: RowLanguages | None
    ) -> None:
        self.sizes = {name: len(own) for name, own in queries.items()}
        self.captions = _Captions(pool, queries, languages)

    def __call__(self, shard: Shard) -> dict[str, Counts]:
        counts = {name: np.zeros(size, np.int64) for name, size in self.sizes.items()}
        for row in self.captions.rows(shard):
            for number in self.captions.matched(row):
                counts[row.language][number] += 1
        return counts


@dataclass
class Drawn:
    """What a shard's rows came to (or, summed, a pool's)."""

    shard: str
    kept: list[str] = field(default_factory=list)
    stays: list[bool] = field(default_factory=list)
    rows: int = 0
    matched: int = 0
    opted_out: int = 0
    other_language: int = 0
    languages: dict[str, int] = field(default_factory=dict)
    not_kept: str | None = None

    def add(self, other: Drawn) -> None:
        """Sum the counts, in place."""
        self.rows += len(other.stays)
        self.matched += other.matched
        self.opted_out += other.opted_out
        self.other_language += other.other_language
        self.not_kept = self.not_kept or other.not_kept
        for name, number in other.languages.items():
            self.languages[name] = self.languages.get(name, 0) + number


class Drawer:
    """In a worker: which rows of a shard some query draws."""

    def __init__(
        self,
        pool: Pool,
        queries: Mapping[str, Sequence[str]],
        probabilities: Mapping[str, npt.NDArray[np.float64]],
        seed: int,
        languages: RowLanguages | None,
    ) -> None:
        self.queries, self.seed = queries, seed
        self.probabilities = {name: own.tolist() for name, own in probabilities.items()}
        self.captions = _Captions(pool, queries, languages)

    def __call__(self, shard: Shard) -> Drawn:
        told = Drawn(shard.name)
        for row in self.captions.rows(shard):
            found = self.captions.matched(row)
            told.matched += bool(found)
            told.opted_out += row.opted_out
            told.other_language += bool(row.text) and not row.opted_out and row.language not in self.queries
            told.languages[row.language] = told.languages.get(row.language, 0) + 1
            stays = any(self._drawn(row, number) for number in sorted(found))
            told.stays.append(stays)
            if stays:
                told.kept.append(row.uid)
        told.not_kept = self.captions.not_kept
        return told

    def _drawn(self, row: _Row, number: int) -> bool:
        probability: float = self.probabilities[row.language][number]
        if probability >= 1:
            return True
        query = self.queries[row.language][number]
        named = f"{row.language}\x1f{query}" if row.language else query
        name = f"{self.seed}\x1f{named}\x1f{row.uid}".encode()
        uniform = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") / 2**64
        return uniform < probability
