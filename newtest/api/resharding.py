"""Write a subset's samples as a new pool, all of it or an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from newtest.engines import Engine, Resources
from newtest.errors import PoolError
from newtest.pool.importing.bare_tars import with_bare_tars
from newtest.pool.reshard import plan_reshard
from newtest.pool.reshard import reshard as resharded
from newtest.pool.storage import subset as subsets
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.subset import Subset
from newtest.progress import Progress, watched

__all__ = ["reshard"]


def reshard(
    pool: Pool,
    subset: Subset | str | Path | Sequence[str | Path],
    out: str | Path,
    shard_rows: int,
    engine: Engine,
    workers: int,
    progress: Progress,
) -> None:
    """Write the rows that are in the subset, or in all of several files of subsets; tars without a table are read, too.

    Raises PoolError that names every shard that failed, and for a subset without a row of this pool.
    """
    if isinstance(subset, Subset):
        chosen = subset
    else:
        paths = [subset] if isinstance(subset, (str, Path)) else subset
        chosen = subsets.read_all([Path(path) for path in paths])
    resources = Resources(workers)
    whole, _ = with_bare_tars(pool, engine, resources, progress)
    plan = plan_reshard(whole, chosen, shard_rows)
    if not plan.outputs:
        raise PoolError(f"{out}: the subset holds no row of this pool, so there is nothing to write")
    outcomes = resharded(whole, plan, out, engine, resources)
    shown = watched(progress, "resharding", outcomes, len(plan.outputs))
    failed = [f"{one.item.name}: {one.error}" for one in shown if one.error is not None]
    if failed:
        raise PoolError(f"{out}: {len(failed)} shards failed: {'; '.join(sorted(failed)[:3])}")
