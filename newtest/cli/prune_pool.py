"""newtest prune-pool"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.encoder_options import Like, encoder_of
from newtest.cli.options import JsonFlag, own_subset, print_json, print_table, progress
from newtest.cli.plan_option import Plan, print_plan
from newtest.cli.pool_options import (
    EngineName,
    ImageCol,
    LayersDir,
    ModelName,
    PoolAt,
    VectorsAt,
    Workers,
    default_out,
    engine_of,
)

__all__ = ["prune_pool"]


def prune_pool(
    pool: PoolAt = ".",
    fraction: Annotated[float, typer.Option(help="Share of the rows with a vector that stays.")] = 0.3,
    within: Annotated[
        Path | None,
        typer.Option(
            metavar="SUBSET", help="Prune these rows alone, as dedup-pool or filter-pool chose them."
        ),
    ] = None,
    clusters: Annotated[
        int, typer.Option(min=0, help="Clusters of the k-means; 0 is one per 1,000 rows.")
    ] = 0,
    temperature: Annotated[
        float,
        typer.Option(help="Temperature of the clusters' shares; a low one favours varied clusters more."),
    ] = 0.5,
    keep: Annotated[
        str, typer.Option(help="Rows of a cluster that stay: hard (far from its centre), easy or random.")
    ] = "hard",
    seed: Annotated[int, typer.Option(help="Seed of the k-means and of random.")] = 0,
    model: ModelName = None,
    like: Like = None,
    vectors: VectorsAt = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The subset; the table of clusters goes beside it.",
            callback=own_subset,
            show_default="pruned.npy",
        ),
    ] = None,
    image_col: ImageCol = None,
    layers: LayersDir = None,
    plan: Plan = False,
    engine: EngineName = "local",
    workers: Workers = 0,
    json: JsonFlag = False,
) -> None:
    """Keep more rows of clusters whose images vary, and fewer of those that look alike: density-based pruning.

    Abbas et al. 2024. Deduplicate first and give that subset with --within, for copies would make clusters of their
    own.

    Example: newtest prune-pool mypool --within dedup.npy --fraction 0.3 --clusters 500
    """
    from newtest.pool.dedup.joins import keeping_for
    from newtest.pool.dedup.pairs import write_pairs
    from newtest.pool.density.prune import PruneConfig, prune
    from newtest.pool.scoring import vectors_for
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.chosen import every_member
    from newtest.pool.storage.pool import open_pool
    from newtest.pool.storage.row_ranges import starts_of

    out = out or default_out(pool, "pruned.npy")
    config = PruneConfig(fraction, clusters, temperature, keep, seed)
    opened = open_pool(pool, layers=layers, image_col=image_col)
    source = vectors_for(opened, encoder_of(model, like), vectors)
    if plan:
        from newtest.pool.work_plans import plan_clusters

        print_plan(plan_clusters(opened, "prune-pool", source, clusters), as_json=json)
        return
    allowed = None if within is None else every_member(opened, subsets.read(within))
    with progress() as bars:
        keeping = keeping_for(opened, starts_of(opened)[-1], "auto", bars, engine_of(engine), workers)
        found = prune(keeping, source, config, allowed)
    table = out.with_suffix(".clusters.parquet")
    write_pairs(found.clusters, table)
    subsets.write(found.subset, out)
    manifest = found.subset.manifest
    if json:
        print_json({"out": str(out), "clusters_file": str(table), "rows": len(found.subset), **manifest})
        return
    names = (
        "rows_read", "rows_outside_the_subset", "rows_opted_out", "rows_without_a_vector", "rows_pruned",
    )  # fmt: skip
    print_table(["", "rows"], [(name.replace("_", " "), manifest[name]) for name in names])
    shown = found.clusters.sort_by([("share", "descending")])
    print_table(
        ["cluster", "rows", "kept", "share", "d_intra", "d_inter"],
        [
            [row[name] for name in ("cluster", "rows", "kept", "share", "d_intra", "d_inter")]
            for row in shown.slice(0, 10).to_pylist()
        ],
    )
    count = manifest["prune"]["clusters"]
    of = f"{count:,} cluster{'s' if count > 1 else ''}"
    print(f"kept {len(found.subset):,} rows of {of}; wrote {out} and {table}")
