"""A pass over all shards: what comes of each, what failed, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from newtest.engines import Engine, Outcome, Resources
from newtest.errors import PoolError
from newtest.pool.storage.pool import Pool, Shard
from newtest.progress import Progress, watched

__all__ = ["complete", "mapped", "merged"]


def mapped(
    pool: Pool,
    work: Callable[[Shard], Any],
    engine: Engine,
    resources: Resources,
    progress: Progress,
    what: str,
) -> Iterator[Any]:
    """The function's values of all shards, as they come, for work that loads nothing first. Raises PoolError."""
    return merged(pool, partial(_itself, work), engine, resources, progress, what)


def merged(
    pool: Pool, make_worker: Any, engine: Engine, resources: Resources, progress: Progress, what: str
) -> Iterator[Any]:
    """The values of all shards, as they come; raises PoolError at the end if any shard failed, naming them."""
    failures = []
    for outcome in watched(progress, what, engine.map(make_worker, pool.shards, resources), len(pool.shards)):
        if outcome.error is not None:
            failures.append(outcome.error)
        else:
            yield outcome.value
    if failures:
        told = sorted(set(failures))
        more = f" (and {len(told) - 3} more)" if len(told) > 3 else ""
        raise PoolError(
            f"{len(failures)} of {len(pool.shards)} shards failed, so nothing was written: "
            f"{'; '.join(told[:3])}{more}"
        )


def _itself(work: Any) -> Any:
    return work


def complete(outcomes: Iterator[Outcome[Shard, dict[str, int]]], total: int) -> dict[str, int]:
    """Consume outcomes and sum them; raises PoolError that names the shards that failed (what is done stays)."""
    sums = {"rows": 0, "failed": 0, "computed": 0}
    errors = []
    for outcome in outcomes:
        if outcome.value is None:
            errors.append(str(outcome.error))
        else:
            for name in sums:
                sums[name] += outcome.value[name]
    if errors:
        raise PoolError(
            f"{len(errors)} of {total} shards failed, the others are kept; run again when this is mended: "
            f"{'; '.join(sorted(set(errors))[:3])}"
        )
    return sums
