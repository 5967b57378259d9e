"""newtest balance-pool --per"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from newtest.cli.options import print_json, print_table, progress
from newtest.cli.plan_option import print_plan
from newtest.cli.pool_options import engine_of

__all__ = ["GroupsAsked", "balance_groups"]


@dataclass(frozen=True)
class GroupsAsked:
    """The options of the command; ``source`` is an encoder's name and a file of vectors, for clusters."""

    pool: str
    per: str
    clusters: int
    source: tuple[str | None, str | None]
    cap: int
    power: float
    seed: int
    image_col: str | None
    layers: str | None
    engine: str
    workers: int


def balance_groups(asked: GroupsAsked, out: Path, *, plan: bool, as_json: bool) -> None:
    """Cap groups of rows; write the subset and the table of groups."""
    from newtest.pool.dedup.pairs import write_pairs
    from newtest.pool.group_caps import GroupCaps, balance_per
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.pool import open_pool

    opened, engine = (
        open_pool(asked.pool, layers=asked.layers, image_col=asked.image_col),
        engine_of(asked.engine),
    )
    config = GroupCaps(asked.per, asked.cap, asked.power, asked.seed, asked.clusters)
    if plan:
        from newtest.pool.group_caps import groups_by
        from newtest.pool.pass_plans import plan_groups
        from newtest.pool.scoring import vectors_for
        from newtest.pool.work_plans import plan_clusters

        if groups_by(opened, asked.per) is None:
            told = plan_clusters(opened, "balance-pool", vectors_for(opened, *asked.source), asked.clusters)
        else:
            told = plan_groups(opened, config).told(asked.workers)
        print_plan(told, as_json=as_json)
        return
    with progress() as bars:
        found = balance_per(opened, config, engine, asked.workers, bars, *asked.source)
    table = out.with_suffix(".groups.parquet")
    write_pairs(found.groups, table)
    subsets.write(found.subset, out)
    manifest = found.subset.manifest
    if as_json:
        print_json({"out": str(out), "groups_file": str(table), "rows": len(found.subset), **manifest})
        return
    print_table(
        [asked.per, "rows", "probability"],
        [(_short(row["group"]), row["count"], row["probability"]) for row in found.groups[:10].to_pylist()],
    )
    head, tail = manifest["head"], manifest["tail"]
    print(
        f"head: {head['groups']:,} groups above the cap with {head['rows']:,} rows; tail: {tail['groups']:,} with "
        f"{tail['rows']:,}"
    )
    opted_out = f", {n:,} opted out" if (n := manifest["rows_opted_out"]) else ""
    print(
        f"kept {len(found.subset):,} of {manifest['rows_read']:,} rows, {manifest['rows_without_a_group']:,} have no "
        f"{asked.per}, {manifest['rows_not_drawn']:,} were not drawn{opted_out}; wrote {out} and {table}"
    )


def _short(name: str) -> str:
    """A name of a group as the table shows it: strangers' hosts may fill the screen."""
    return name if len(name) <= 60 else f"{name[:57]}..."
