"""Balance a pool by what its captions speak of: queries matched as substrings, and a cap on each.

The rule of CLIP's WIT and of MetaCLIP (Xu et al. 2024, algorithm 1): a caption matches every query that it
contains; a query with more than t captions draws each of them with probability t / count, others with
certainty; a sample stays when any of its queries drew it. So common queries are capped near t and rare ones
stay whole. Captions that match nothing go.

A query matches at word borders and without regard to case, as MetaCLIP pads both with spaces. Each draw is
made of the seed, the query and the uid, so it depends on no order of reading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.config import fingerprint
from newtest.engines import Engine, Resources
from newtest.errors import MissingExtra, PoolError, UsageError
from newtest.files import text_at
from newtest.pool.storage import uids as ids
from newtest.pool.storage.opt_outs import OptOuts, known
from newtest.pool.storage.passes import merged
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.subset import Subset
from newtest.progress import UNWATCHED, Progress
from newtest.reading.texts import read_lines

__all__ = ["Balanced", "balance", "matches", "queries_from_captions", "read_queries"]


@dataclass(frozen=True)
class Balanced:
    """The subset, and a table of queries: ``query``, ``count`` (captions that contain it), ``probability``."""

    subset: Subset
    queries: pa.Table


def read_queries(path: Path) -> list[str]:
    """One query a line, trimmed; empty lines and repetitions left out, order kept. Raises PoolError."""
    try:
        lines = read_lines(path)
    except (OSError, ValueError) as error:
        raise PoolError(f"{path}: cannot be read as a list of queries ({error})") from error
    queries = list(dict.fromkeys(query for line in lines if (query := normal(line).strip())))
    if not queries:
        raise PoolError(f"{path}: no queries in this file; write one per line")
    return queries


def queries_from_captions(
    pool: Pool, nouns: Path, at_least: int, engine: Engine, workers: int = 0, progress: Progress = UNWATCHED
) -> list[str]:
    """Every noun of WordNet (``nouns`` is its ``index.noun``) that at least this many captions contain, sorted."""
    try:
        text = text_at(nouns, "latin-1")
    except OSError as error:
        raise PoolError(f"{nouns}: WordNet's index.noun cannot be read ({error.strerror})") from error
    lemmas = sorted(
        {normal(line.split()[0].replace("_", " ")) for line in text.splitlines() if not line.startswith(" ")}
        - {""}
    )
    counts = _counts(pool, lemmas, engine, workers, progress)
    return [
        lemma
        for lemma, count in zip(lemmas, counts.tolist(), strict=True)
        if count >= at_least and len(lemma) > 2
    ]


def balance(
    pool: Pool,
    queries: Sequence[str],
    cap: int,
    seed: int,
    engine: Engine,
    workers: int = 0,
    progress: Progress = UNWATCHED,
) -> Balanced:
    """Two passes over the captions: count, then draw. Raises UsageError, PoolError, MissingExtra."""
    if cap < 1:
        raise UsageError(f"the cap is at least 1 sample a query, not {cap}")
    if not queries:
        raise UsageError(
            "there is no query to balance by; a smaller `at_least` finds more, or name `queries`"
        )
    counts = _counts(pool, queries, engine, workers, progress)
    probabilities = np.minimum(1.0, cap / np.maximum(counts, 1))
    make = partial(_Drawer, pool, tuple(queries), probabilities.tolist(), seed)
    uids, rows, matched, opted_out = [], 0, 0, 0
    chosen: dict[str, npt.NDArray[np.uint8]] = {}
    for name, kept, stays, some, out in merged(
        pool, make, engine, Resources(workers, light=True), progress, "drawing"
    ):
        uids.append(kept)
        chosen[name] = np.packbits(stays)
        rows, matched, opted_out = rows + len(stays), matched + some, opted_out + out
    over = counts > cap
    manifest = {
        "pool": pool.place.url,
        "inputs": pool.fingerprints(),
        "balance": {
            "cap": cap,
            "seed": seed,
            "queries": len(queries),
            "queries_fingerprint": fingerprint(list(queries)),
        },
        "rows_read": rows,
        "rows_opted_out": opted_out,
        "rows_that_match_no_query": rows - matched - opted_out,
        "rows_not_drawn": matched - sum(map(len, uids)),
        "head": {"queries": int(over.sum()), "matches": int(counts[over].sum())},
        "tail": {"queries": int((~over & (counts > 0)).sum()), "matches": int(counts[~over].sum())},
        "queries_without_a_match": int((counts == 0).sum()),
    }
    table = pa.table({"query": pa.array(queries, pa.string()), "count": counts, "probability": probabilities})
    return Balanced(
        Subset.of(
            ids.concatenated(uids), manifest, np.concatenate([chosen[shard.name] for shard in pool.shards])
        ),
        table.sort_by([("count", "descending"), ("query", "ascending")]),
    )


def matches(automaton: Any, text: str) -> set[int]:
    """The numbers of the queries that a caption contains as whole words."""
    padded = f" {normal(text)} "
    return {number for _, number in automaton.iter(padded)}


def normal(text: str) -> str:
    """Lower case, everything but letters and digits as a space, spaces single: what queries and captions
    are compared as.
    """
    return " ".join(
        "".join(char if char.isalnum() or char in "'-" else " " for char in text.casefold()).split()
    )


def automaton_of(queries: Sequence[str]) -> Any:
    """An Aho-Corasick automaton over queries with a space on either side. Raises MissingExtra."""
    try:
        import ahocorasick
    except ImportError as error:
        raise MissingExtra("pyahocorasick", "pool") from error
    automaton = ahocorasick.Automaton()
    for number, query in enumerate(queries):
        automaton.add_word(f" {query} ", number)
    automaton.make_automaton()
    return automaton


def _counts(
    pool: Pool, queries: Sequence[str], engine: Engine, workers: int, progress: Progress
) -> npt.NDArray[np.int64]:
    counts = np.zeros(len(queries), np.int64)
    make = partial(_Counter, pool, tuple(queries))
    for part in merged(pool, make, engine, Resources(workers, light=True), progress, "counting"):
        counts += part
    return counts


def _captions(pool: Pool, shard: Shard, opt_outs: OptOuts) -> Iterator[tuple[str, str | None, bool]]:
    """Of each row the uid, the caption, and whether somebody asked to have it left out: then it counts nowhere."""
    columns = dict.fromkeys(("uid", "text", *opt_outs.columns))
    for batch in pool.batches(shard, list(columns)):
        out = np.logical_or(*opt_outs.found(batch)) if len(opt_outs) else np.zeros(len(batch), np.bool_)
        yield from zip(batch["uid"].to_pylist(), batch["text"].to_pylist(), out.tolist(), strict=True)


class _Counter:
    """In a worker: how many captions of a shard contain each query."""

    def __init__(self, pool: Pool, queries: tuple[str, ...]) -> None:
        self.pool, self.size, self.automaton = pool, len(queries), automaton_of(queries)
        self.opt_outs = known(pool)

    def __call__(self, shard: Shard) -> npt.NDArray[np.int64]:
        counts = np.zeros(self.size, np.int64)
        for _, text, out in _captions(self.pool, shard, self.opt_outs):
            for number in matches(self.automaton, text) if text and not out else ():
                counts[number] += 1
        return counts


class _Drawer:
    """In a worker: a shard's name, the ids that some query draws, which rows those are, how many match a query, and
    how many are left out because people asked for it."""

    def __init__(self, pool: Pool, queries: tuple[str, ...], probabilities: list[float], seed: int) -> None:
        self.pool, self.queries, self.probabilities, self.seed = pool, queries, probabilities, seed
        self.automaton = automaton_of(queries)
        self.opt_outs = known(pool)

    def __call__(self, shard: Shard) -> tuple[str, ids.Uids, npt.NDArray[np.bool_], int, int]:
        kept: list[str] = []
        stays: list[bool] = []
        matched = opted_out = 0
        for uid, text, out in _captions(self.pool, shard, self.opt_outs):
            found = matches(self.automaton, text) if text and not out else set()
            matched += bool(found)
            opted_out += out
            stays.append(
                any(self.probabilities[number] >= 1 or self._drawn(number, uid) for number in sorted(found))
            )
            if stays[-1]:
                kept.append(uid)
        uids = ids.from_arrow(pa.array(kept, pa.string()))
        return shard.name, uids, np.array(stays, np.bool_), matched, opted_out

    def _drawn(self, number: int, uid: str) -> bool:
        name = f"{self.seed}\x1f{self.queries[number]}\x1f{uid}".encode()
        uniform = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") / 2**64
        return uniform < self.probabilities[number]
