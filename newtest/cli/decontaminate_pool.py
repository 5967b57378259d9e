"""newtest decontaminate-pool"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.encoder_options import Like, encoder_of
from newtest.cli.options import JsonFlag, own_subset, print_json, print_table, progress
from newtest.cli.plan_option import Plan, print_plan
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

__all__ = ["decontaminate_pool"]


def decontaminate_pool(
    pool: PoolAt = ".",
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SET", help="A release, or any folder of images, tars or Parquet; or .npy; repeatable."
        ),
    ] = None,
    method: Annotated[str, typer.Option(help="auto, exact (embeddings) or hash.")] = "auto",
    threshold: Annotated[float, typer.Option(help="Pairs of at least this cosine.")] = 0.9,
    radius: Annotated[
        int, typer.Option(help="Most bits of 144 in which the hashes of a pair differ (hash).")
    ] = 28,
    model: ModelName = None,
    like: Like = None,
    arch: Arch = None,
    vectors: VectorsAt = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="The subset; the pairs go beside it.", callback=own_subset, show_default="clean.npy"
        ),
    ] = None,
    image_col: ImageCol = None,
    layers: LayersDir = None,
    plan: Plan = False,
    engine: EngineName = "local",
    workers: Workers = 0,
    json: JsonFlag = False,
) -> None:
    """Leave out the rows whose images are near-duplicates of any test set's; keep pairs to look at.

    Large pools are joined range by range on the engine; stop it at any time and run it again.

    Example: newtest decontaminate-pool mypool --against releases/v1 --against imagenet/val
    """
    from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate
    from newtest.pool.dedup.pairs import write_pairs
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.pool import open_pool
    from newtest.pool.storage.reasons import told

    out = out or default_out(pool, "clean.npy")

    if plan:
        from newtest.pool.pass_plans import plan_decontaminate, plan_hashes

        opened = open_pool(pool, layers=layers, image_col=image_col)
        if method == "hash":
            print_plan(plan_hashes(opened, "decontaminate-pool").told(workers), as_json=json)
            return
        encoder = encoder_of(model or arch, like)
        told_plan = plan_decontaminate(opened, against or [], encoder, vectors, device, workers)
        print_plan(told_plan, as_json=json)
        return
    config = DecontaminateConfig(method, threshold, radius, encoder_of(model or arch, like), device, vectors)  # type: ignore[arg-type]
    with progress() as bars:
        opened = open_pool(pool, layers=layers, image_col=image_col)
        found = decontaminate(opened, against or [], config, bars, engine_of(engine), workers)
    pairs = out.with_suffix(".pairs.parquet")
    write_pairs(found.pairs, pairs)
    subsets.write(found.subset, out)
    manifest = found.subset.manifest
    if json:
        print_json({"out": str(out), "pairs_file": str(pairs), **manifest})
        return
    columns = ("images", "unreadable", "images_found", "pairs", "rows_removed")
    print_table(
        ["set", *(name.replace("_", " ") for name in columns)],
        [(name, *(counts[column] for column in columns)) for name, counts in manifest["sets"].items()],
    )
    if why := manifest["not_compared"]:
        print(f"{manifest['rows_not_compared']:,} rows are kept uncompared: {told(why)}")
    opted_out = f"left out {n:,} that opted out, " if (n := manifest["rows_opted_out"]) else ""
    print(
        f"removed {manifest['rows_removed']:,} of {manifest['rows_read']:,} rows, {opted_out}"
        f"{manifest['rows_not_compared']:,} could not be compared; wrote {out} and {pairs}"
    )
