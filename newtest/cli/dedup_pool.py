"""newtest dedup-pool"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newtest.cli.encoder_options import Like, encoder_of
from newtest.cli.options import JsonFlag, own_subset, print_json, print_table, progress
from newtest.cli.plan_option import print_plan
from newtest.cli.pool_options import (
    Arch,
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

if TYPE_CHECKING:
    from newtest.pool.dedup.near_duplicates import DedupConfig
    from newtest.pool.storage.pool import Pool

__all__ = ["dedup_pool"]


def dedup_pool(
    pool: PoolAt = ".",
    method: Annotated[
        str, typer.Option(help="auto, bytes, hash, exact (embeddings) or semantic (SemDeDup).")
    ] = "auto",
    threshold: Annotated[float, typer.Option(help="Pairs of at least this cosine (exact, semantic).")] = 0.95,
    radius: Annotated[
        int, typer.Option(help="Most bits of 144 in which the hashes of a pair differ (hash).")
    ] = 12,
    model: ModelName = None,
    like: Like = None,
    arch: Arch = None,
    vectors: VectorsAt = None,
    clusters: Annotated[int, typer.Option(help="Clusters of semantic; 0 is one per 1,000 rows.")] = 0,
    probe: Annotated[
        int, typer.Option(min=1, help="Nearest clusters in which a row is compared (semantic).")
    ] = 1,
    keep_fair: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep the row most like the least represented concept: captions, one concept per line, or .npy.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the k-means and of the recall's sample.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="The subset; the pairs go beside it.", callback=own_subset, show_default="dedup.npy"
        ),
    ] = None,
    image_col: ImageCol = None,
    layers: LayersDir = None,
    engine: EngineName = "local",
    workers: Workers = 0,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print rows, operations, bytes and hours, and stop.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Find duplicates and keep one of each group: the highest score, then the most pixels, then the lowest uid.

    Writes the subset that stays, and as Parquet a spanning set of each group's pairs with its size. Large pools are
    joined range by range on the engine; stop it at any time and run it again.

    --keep-fair chooses who stays by FairDeDup's rule instead (Slyman et al. 2024), so that deduplication takes no more
    from groups of people who are rare.

    --method auto takes what the pool has: vectors of an encoder of pictures, else the pictures, else their sha256.
    It says which.

    Example: newtest dedup-pool mypool --method exact --threshold 0.95 --out dedup.npy
    """
    from newtest.pool.dedup.near_duplicates import DedupConfig, dedup
    from newtest.pool.dedup.pairs import write_pairs
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.pool import open_pool
    from newtest.pool.storage.reasons import told

    out = out or default_out(pool, "dedup.npy")

    encoder = encoder_of(model or arch, like)
    how: Any = method  # checked there
    config = DedupConfig(how, threshold, radius, encoder, clusters, seed, device, vectors, probe, keep_fair)
    if plan:
        _print_plan(open_pool(pool, layers=layers, image_col=image_col), config, workers, as_json=json)
        return
    with progress() as bars:
        opened = open_pool(pool, layers=layers, image_col=image_col)
        found = dedup(opened, config, bars, engine_of(engine), workers)
    pairs = out.with_suffix(".pairs.parquet")
    write_pairs(found.pairs, pairs)
    subsets.write(found.subset, out)
    manifest = found.subset.manifest
    if json:
        print_json({"out": str(out), "pairs_file": str(pairs), **manifest})
        return
    names = (
        "rows_read",
        "rows_not_compared",
        "pairs",
        "groups",
        "largest_group",
        "rows_opted_out",
        "rows_removed",
    )
    print_table(["", "rows"], [(name.replace("_", " "), manifest[name]) for name in names])
    if manifest["dedup"].get("recall") is not None:
        how = manifest["dedup"]
        print(
            f"recall {how['recall']:.3f} of {how['recall_pairs']:,} exact pairs among {how['recall_rows']:,} rows"
        )
    if keep_fair is not None:
        means = manifest["keep_rule"]["mean_similarity"]
        print_table(["concept", "mean similarity of the rows that stay"], list(means.items()))
    if why := manifest["not_compared"]:
        print(f"{manifest['rows_not_compared']:,} rows are kept uncompared: {told(why)}")
    print(f"kept {len(found.subset):,} rows; wrote {out} and {pairs}")


def _print_plan(pool: Pool, config: DedupConfig, workers: int, *, as_json: bool) -> None:
    from newtest.pool.dedup.choice import best_method
    from newtest.pool.dedup.planning import planned

    method = config.method
    if method == "auto":
        method, _ = best_method(pool, config.encoder, config.vectors)
    if method in ("hash", "bytes"):
        from newtest.pool.pass_plans import plan_hashes

        print_plan(plan_hashes(pool, "dedup-pool").told(workers), as_json=as_json)
        return
    told = planned(pool, config, workers)
    if as_json:
        print_json(told)
        return
    gib = 2.0**30
    print_table(
        ["", told["method"]],
        [
            ("rows", f"{told['rows']:,}"),
            ("numbers per row", told["width"]),
            ("clusters", told["clusters"] or "none"),
            ("items", f"{told['items']:,}"),
            ("operations", f"{told['operations']:.3g}"),
            ("GiB to read", f"{told['bytes_read'] / gib:,.1f}"),
            ("GiB held by a worker", f"{told['held'] / gib:.2f}"),
            ("GiB held by this process", f"{told['driver'] / gib:.2f}"),
            ("hours on this machine", f"{told['hours_here']:,.3g}"),
            (f"hours on {told['workers']} such", f"{told['hours_on_workers']:,.3g}"),
            ("hours on an H100 (assumed rate)", f"{told['hours_on_h100']:,.3g}"),
        ],
    )
