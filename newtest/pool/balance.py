"""Balance a pool by what its captions speak of: queries matched as substrings, and a cap on each.

The rule of CLIP's WIT and of MetaCLIP (Xu et al. 2024, algorithm 1): a caption matches every query that it
contains; a query with more than t captions draws each of them with probability t / count, others with
certainty; a sample stays when any of its queries drew it. So common queries are capped near t and rare ones
stay whole. Captions that match nothing go.

A soft cap draws with probability (t / count)^power instead, with a power below 1: a query may
bring more when it has more captions. With 1/2 that is the square root of what it has, above the cap.

Captions of several languages are balanced each by its own queries, with MetaCLIP 2's caps (Chuang et al. 2025,
algorithm 1): English keeps t, and every other language gets the count at which the queries below it have the same share
of all matches as in English.

A query matches at word borders and without regard to case, as MetaCLIP pads both with spaces. Each draw is
made of the seed, the query and the uid, so it depends on no order of reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.config import fingerprint
from newtest.engines import Engine, Resources
from newtest.errors import PoolError, UsageError
from newtest.files import text_at
from newtest.pool.queries import normal
from newtest.pool.query_matches import ANY, Counts, Drawer, Drawn, counted
from newtest.pool.row_languages import RowLanguages
from newtest.pool.storage import uids as ids
from newtest.pool.storage.passes import merged
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.subset import Subset
from newtest.progress import UNWATCHED, Progress

__all__ = ["ANY", "Balanced", "Balancing", "balance", "cap_of", "queries_from_captions", "tail_share"]


@dataclass(frozen=True)
class Balancing:
    """Queries by language (``ANY`` for all captions), the cap (English's, of several), its power, and the seed.

    Raises UsageError.
    """

    queries: Mapping[str, Sequence[str]]
    cap: int = 20_000
    power: float = 1.0
    seed: int = 0
    language_col: str | None = None
    """A column that says each caption's language; None asks fastText, and keeps its answers."""

    def __post_init__(self) -> None:
        if self.cap < 1:
            raise UsageError(f"the cap is at least 1 sample per query, not {self.cap}")
        if not 0 < self.power <= 1:
            raise UsageError(f"`power` is above 0 and at most 1, not {self.power}")
        if not any(self.queries.values()):
            raise UsageError(
                "there is no query to balance by; a smaller `at_least` finds more, or name `queries`"
            )
        if ANY not in self.queries and "en" not in self.queries:
            raise UsageError(
                "English sets the caps of the other languages, and there are no queries for it: en.txt"
            )

    @property
    def by_language(self) -> bool:
        return ANY not in self.queries


@dataclass(frozen=True)
class Balanced:
    """The subset, and a table of queries: ``query``, ``count`` (captions that contain it), ``probability``, and
    ``language`` where there are several.
    """

    subset: Subset
    queries: pa.Table


def tail_share(counts: Counts, cap: int) -> float:
    """The share that queries with fewer than ``cap`` captions have of all matches. Raises UsageError."""
    if not counts.sum():
        raise UsageError("no English caption contains an English query, so there is no share to go by")
    return float(counts[counts < cap].sum() / counts.sum())


def cap_of(counts: Counts, share: float) -> int:
    """The count of the query up to which the rarer ones have a share of all matches nearest to ``share``.

    Queries without a caption are left out of it: they have no share, and a cap of 0 would drop everything.
    """
    found = np.sort(counts[counts > 0])
    if not len(found):
        return 1
    return int(found[np.abs(np.cumsum(found) / found.sum() - share).argmin()])


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
    counts = counted(pool, {ANY: lemmas}, None, engine, workers, progress)[ANY]
    return [
        lemma
        for lemma, count in zip(lemmas, counts.tolist(), strict=True)
        if count >= at_least and len(lemma) > 2
    ]


def balance(
    pool: Pool, config: Balancing, engine: Engine, workers: int = 0, progress: Progress = UNWATCHED
) -> Balanced:
    """Two passes over the captions: count, then draw. Raises UsageError, PoolError, MissingExtra."""
    languages = RowLanguages(pool, config.language_col) if config.by_language else None
    counts = counted(pool, config.queries, languages, engine, workers, progress)
    caps = _caps(config, counts)
    probabilities = {
        name: np.minimum(1.0, (caps[name] / np.maximum(own, 1)) ** config.power)
        for name, own in counts.items()
    }
    make = partial(Drawer, pool, config.queries, probabilities, config.seed, languages)
    drawn = Drawn(ANY)
    uids: list[ids.Uids] = []
    chosen: dict[str, npt.NDArray[np.uint8]] = {}
    for part in merged(pool, make, engine, Resources(workers, light=True), progress, "drawing"):
        uids.append(ids.from_arrow(pa.array(part.kept, pa.string())))
        chosen[part.shard] = np.packbits(np.array(part.stays, np.bool_))
        drawn.add(part)
    if languages is not None and drawn.not_kept is None:
        languages.settle()
    elif drawn.not_kept is not None:
        progress.say(
            f"languages could not be kept: {drawn.not_kept}; `layers` names a folder that can be written to"
        )
    manifest = _manifest(pool, config, counts, caps, drawn, sum(map(len, uids)))
    rows = np.concatenate([chosen[shard.name] for shard in pool.shards])
    return Balanced(Subset.of(ids.concatenated(uids), manifest, rows), _table(config, counts, probabilities))


def _caps(config: Balancing, counts: Mapping[str, Counts]) -> dict[str, int]:
    if not config.by_language:
        return {ANY: config.cap}
    share = tail_share(counts["en"], config.cap)
    return {name: config.cap if name == "en" else cap_of(own, share) for name, own in counts.items()}


def _manifest(
    pool: Pool,
    config: Balancing,
    counts: Mapping[str, Counts],
    caps: Mapping[str, int],
    drawn: Drawn,
    kept: int,
) -> dict[str, Any]:
    over = {name: own > caps[name] for name, own in counts.items()}
    head = sum(int(own.sum()) for own in over.values())
    tail = sum(int((~over[name] & (own > 0)).sum()) for name, own in counts.items())
    queries = {name: list(own) for name, own in config.queries.items()}
    balanced: dict[str, Any] = {
        "cap": config.cap,
        "power": config.power,
        "seed": config.seed,
        "queries": sum(map(len, config.queries.values())),
        "queries_fingerprint": fingerprint(queries if config.by_language else queries[ANY]),
    }
    if config.by_language:
        balanced["languages"] = {
            name: {"queries": len(own), "cap": caps[name], "rows": drawn.languages.get(name, 0)}
            for name, own in sorted(config.queries.items())
        }
        balanced["language_of_a_row"] = config.language_col or "fastText"
    told = {
        "pool": pool.place.url,
        "inputs": pool.fingerprints(),
        "balance": balanced,
        "rows_read": drawn.rows,
        "rows_opted_out": drawn.opted_out,
        "rows_that_match_no_query": drawn.rows - drawn.matched - drawn.opted_out - drawn.other_language,
        "rows_not_drawn": drawn.matched - kept,
        "head": {"queries": head, "matches": sum(int(own[over[name]].sum()) for name, own in counts.items())},
        "tail": {
            "queries": tail,
            "matches": sum(int(own[~over[name]].sum()) for name, own in counts.items()),
        },
        "queries_without_a_match": sum(int((own == 0).sum()) for own in counts.values()),
    }
    return told | ({"rows_in_other_languages": drawn.other_language} if config.by_language else {})


def _table(
    config: Balancing, counts: Mapping[str, Counts], probabilities: Mapping[str, npt.NDArray[np.float64]]
) -> pa.Table:
    parts = []
    for name, queries in config.queries.items():
        columns = {
            "query": pa.array(queries, pa.string()),
            "count": counts[name],
            "probability": probabilities[name],
        }
        if config.by_language:
            columns["language"] = pa.array([name] * len(queries), pa.string())
        parts.append(pa.table(columns))
    order = [("count", "descending"), ("query", "ascending")]
    return pa.concat_tables(parts).sort_by(
        [*order, *([("language", "ascending")] if config.by_language else [])]
    )
