"""Choose rows by rules, in one streaming pass over the columns that the rules need.

Shards go through an engine; in each, one batch of rows at a time is read and judged, and only the uids of rows that
stay are looked at. A fraction needs its cut first (``newtest.pool.filtering.pool_quantile``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.engines import Engine, Resources
from newtest.errors import UsageError
from newtest.pool.filtering.apply import FilterPlan, ShardCounts, judged
from newtest.pool.filtering.filters import described
from newtest.pool.filtering.language_layer import LANGUAGES, languages_layer
from newtest.pool.filtering.which_rule import names_of, which_rule
from newtest.pool.storage import uids as ids
from newtest.pool.storage.layers import settle
from newtest.pool.storage.passes import mapped
from newtest.pool.storage.places import Entry
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.subset import Subset
from newtest.pool.storage.uids import Uids
from newtest.progress import UNWATCHED, Progress

__all__ = ["manifest", "select", "select_shard", "settled"]

_Chosen = tuple[Uids, ShardCounts, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


def select(
    pool: Pool,
    plan: FilterPlan,
    engine: Engine,
    resources: Resources | None = None,
    progress: Progress = UNWATCHED,
) -> Subset:
    """The subset that the plan keeps, with a manifest of rules and counts; ``progress`` is told whose languages
    were found, and is shown the shards as they are done.

    Raises UsageError for a plan without rules and PoolError that names every shard that could not be read;
    then nothing is selected, for a subset that silently lacks a shard would be wrong.
    """
    if not plan.rules:
        raise UsageError("no rule was given; name at least one, such as `clip_score` or `basic`")
    counts, parts = ShardCounts(), []
    rows: dict[str, npt.NDArray[np.uint8]] = {}
    rules: dict[str, npt.NDArray[np.uint8]] = {}
    names = names_of(plan) if plan.keeps_rules else []
    prints: dict[str, tuple[str, str]] = {}
    plan = replace(plan, listed=_listed(pool, plan))
    work = partial(_named_shard, pool, plan)
    resources = resources or Resources(kind=plan.kind)
    for name, (uids, shard_counts, chosen, why), both in mapped(
        pool, work, engine, resources, progress, "filtering"
    ):
        parts.append(uids)
        rows[name], rules[name], prints[name] = chosen, why, both
        counts.add(shard_counts)
    settled(pool, plan, counts, progress)
    uids = ids.ordered(parts)
    shared = int(np.count_nonzero(uids[1:] == uids[:-1]))
    if shared:
        progress.say(f"{shared:,} of the rows that stay have the uid of another row that stays")
    chosen = np.concatenate([rows[shard.name] for shard in pool.shards])
    told = {**manifest(pool, plan, counts, prints), "rows_that_share_a_uid": shared}
    if not plan.keeps_rules:
        return Subset(uids, told, chosen)
    dropped = np.concatenate([rules[shard.name] for shard in pool.shards])
    return Subset(uids, {**told, "dropped_by": names}, chosen, dropped)


def _listed(pool: Pool, plan: FilterPlan) -> dict[str, Entry] | None:
    """The files of the pool's layers, in one listing, where the plan asks for languages."""
    if not LANGUAGES.keys() & set(plan.columns):
        return None
    return {entry.name: entry for entry in pool.layers.entries()}


def _named_shard(pool: Pool, plan: FilterPlan, shard: Shard) -> tuple[str, _Chosen, tuple[str, str]]:
    """A shard's name, its rows, and its fingerprints: its bytes are at hand here, and may be far from the driver."""
    chosen = select_shard(pool, plan, shard)
    return shard.name, chosen, (pool.shard_fingerprint(shard), pool.table_fingerprint(shard))


def select_shard(pool: Pool, plan: FilterPlan, shard: Shard) -> _Chosen:
    """The ids that stay of one shard, in row order, the counts, a bit for each row: whether it stays, and where the
    plan asks for it a byte for each row: which rule dropped it.
    """
    counts, parts = ShardCounts(), []
    stays, rules = [np.empty(0, np.bool_)], [np.empty(0, np.uint8)]
    for batch in judged(pool, plan, shard, ["uid"], counts):
        uids = batch.table["uid"].combine_chunks()
        parts.append(ids.from_arrow(uids, f"shard {shard.name}", batch.stays))
        stays.append(batch.stays)
        if plan.keeps_rules:
            rules.append(which_rule(plan, batch.pattern, batch.stays))
    return ids.concatenated(parts), counts, np.packbits(np.concatenate(stays)), np.concatenate(rules)


def manifest(
    pool: Pool, plan: FilterPlan, counts: ShardCounts, known: Mapping[str, tuple[str, str]] | None = None
) -> dict[str, Any]:
    """What a subset's manifest says of its making; ``known`` are the shards' fingerprints."""
    names = [rule.name for rule in plan.rules]
    return {
        "pool": pool.place.url,
        "inputs": {
            "shards": len(pool.shards),
            **pool.fingerprints(known),
            "layers": {
                name: {"folder": layer.folder, **dict(layer.config)}
                for name, (layer, _) in sorted(plan.layers.items())
            },
        },
        "combine": plan.combine,
        "rules": [
            {
                "name": rule.name,
                "filters": described(rule.filters),
                **({"always": True} if rule.always else {}),
            }
            for rule in plan.rules
        ],
        "rows_read": counts.rows,
        "rows_kept": counts.kept,
        "rules_saw": {name: counts.seen[name] for name in names},
        "dropped_by_rule": {name: counts.dropped[name] for name in names},
        "dropped_by_reason": [
            {"rule": rule, "filter": filter_, "reason": reason, "rows": rows}
            for (rule, filter_, reason), rows in sorted(counts.reasons.items())
        ],
        "overlaps": [
            {"dropped_by": [name for bit, name in enumerate(names) if pattern >> bit & 1], "rows": rows}
            for pattern, rows in sorted(counts.patterns.items())
        ],
    }


def settled(pool: Pool, plan: FilterPlan, counts: ShardCounts, progress: Progress = UNWATCHED) -> None:
    """Write the manifests of the layers of languages that grew, and say what was asked and what was known."""
    for detector in sorted({detector for detector, _ in counts.languages}):
        asked, known = counts.languages[detector, "asked"], counts.languages[detector, "known"]
        if counts.not_kept is not None:
            said = (
                f"they could not be kept: {counts.not_kept}; `layers` names a folder that can be written to"
            )
        elif plan.keeps_languages:
            layer = languages_layer(detector)
            prefix = f"{layer.folder}/"
            settle(
                pool, layer, {name: held for name, held in counts.files.items() if name.startswith(prefix)}
            )
            said = f"kept in {layer.folder}"
        else:
            said = "a dry run keeps none"
        progress.say(
            f"languages: {detector} was asked about {asked:,} captions, {known:,} were known ({said})"
        )
