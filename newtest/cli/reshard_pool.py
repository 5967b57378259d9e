"""newtest reshard-pool"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, note, print_json, progress
from newtest.cli.plan_option import Plan, print_plan
from newtest.cli.pool_options import (
    EngineName,
    ImageCol,
    LayersDir,
    PoolAt,
    Workers,
    counted,
    default_out,
    engine_of,
)

__all__ = ["reshard_pool"]


def reshard_pool(
    pool: PoolAt = ".",
    subset: Annotated[
        list[Path] | None,
        typer.Option(
            help='The subset: a sorted "u8,u8" .npy. May be repeated: rows that are in all of them.',
            show_default="subset.npy",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Take all rows, instead of a subset.")] = False,
    out: Annotated[
        str | None, typer.Option(help="The new pool, a folder or an fsspec URL.", show_default="resharded")
    ] = None,
    shard_rows: Annotated[int, typer.Option(min=1, help="Samples per shard.")] = 10_000,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="parquet: tables with the images inside, for datasets.",
            show_default="as the pool",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written; touch nothing.")
    ] = False,
    layers: LayersDir = None,
    image_col: ImageCol = None,
    plan: Plan = False,
    engine: EngineName = "local",
    workers: Workers = 0,
    json: JsonFlag = False,
) -> None:
    """Write a subset's samples as new shards, as many copies of each as the subset holds: tars with their tables, or
    tables alone (with the images in them, where there are any) where the pool has no tars.

    Tars without a table are read, too: the uid of a sample stands in its .json.

    With --format parquet the images of tars go into the tables, which load_dataset opens as they are.

    Stop it at any time and run it again: shards that are there are kept.

    Example: newtest reshard-pool mypool --subset clip-score-0.3.npy --out training
    """
    out = out or str(default_out(pool, "resharded"))
    from newtest.engines import Resources
    from newtest.pool.importing.bare_tars import BareTars, with_bare_tars
    from newtest.pool.reshard import plan_reshard, reshard
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.pool import bare_tars, open_pool

    chosen = None if everything else subsets.read_all(subset or [Path("subset.npy")])
    running, resources = engine_of(engine), Resources(workers)
    opened, tars = open_pool(pool, layers=layers, image_col=image_col, bare=True), BareTars()
    if plan:
        from newtest.pool.work_plans import plan_reshard_work

        print_plan(plan_reshard_work(opened, chosen, shard_rows, format_ or "").told(workers), as_json=json)
    if bare := [tar.name for tar in bare_tars(opened)]:
        if dry_run or plan:
            note(
                f"{len(bare):,} tars have no table beside them, such as {bare[0]}; a {'plan' if plan else 'dry run'} "
                "does not count their samples"
            )
        else:
            with progress() as shown:
                opened, tars = with_bare_tars(opened, running, resources, shown)
            note(tars.says())
    if plan:
        return
    todo = plan_reshard(opened, chosen, shard_rows, format_ or "")
    if chosen is not None and len(subset or ()) > 1:
        note(f"{len(chosen):,} rows are in all {len(subset or ())} subsets")
    if todo.absent:
        note(f"{len(todo.absent):,} uids of the subset are not in the pool; the first is {todo.absent[0]}")
    if todo.opted_out:
        note(f"{todo.opted_out:,} samples opted out, by the pool's own lists, and are not written")
    if todo.shared:
        note(
            f"{todo.shared:,} rows have the uid of an earlier row, and are not written; the subset does not say which"
        )
    sums = {"written": 0, "missing": 0, "computed": 0}
    failures = []
    if not dry_run:
        outcomes = reshard(opened, todo, out, running, resources)
        for outcome in counted("resharding", outcomes, len(todo.outputs)):
            if outcome.value is None:
                failures.append(f"shard {outcome.item.name}: {outcome.error}")
            else:
                sums = {name: sums[name] + outcome.value[name] for name in sums}
    if json:
        result = {
            "samples": todo.samples,
            "shards": len(todo.outputs),
            "absent": list(todo.absent),
            "tars_without_table": bare,
            "left_out_of_these": dict(tars.left_out),
            "opted_out": todo.opted_out,
            "rows_that_share_a_uid": todo.shared,
            "failed": failures,
            **sums,
        }
        print_json({"out": None if dry_run else out, **result})
    elif dry_run:
        print(
            f"dry run: {todo.samples:,} samples would go into {len(todo.outputs)} shards of {out}; "
            "nothing was touched"
        )
    else:
        from_tars = any(shard.tar is not None for shard in opened.shards)
        print(
            f"{sums['written']:,} samples in {len(todo.outputs) - len(failures)} shards of {out}, "
            f"{sums['computed']} written now; "
            + (
                f"{sums['missing']:,} have no files in the pool's tars"
                if from_tars
                else "tables alone, for the pool has no tars"
            )
        )
    for failure in failures:
        note(failure)
    if failures:
        raise typer.Exit(1)
