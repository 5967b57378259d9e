"""newtest search-pool"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.class_options import ClassesFile, Wnids, WnidsFile, chosen_classes, lines_of
from newtest.cli.encoder_options import EncoderName, Like, Precision, encoder_of
from newtest.cli.options import JsonFlag, note, own_file, print_json, print_table, progress
from newtest.cli.plan_option import Plan, print_plan
from newtest.cli.pool_options import EngineName, ImageCol, LayersDir, PoolAt, Workers, engine_of

__all__ = ["search_pool"]


def search_pool(
    pool: PoolAt = ".",
    wnid: Wnids = [],  # noqa: B006  # typer's own way
    wnids_file: WnidsFile = None,
    classes_file: ClassesFile = None,
    per_class: Annotated[int, typer.Option(min=0, help="Candidates per class at most; 0 is all.")] = 0,
    min_definition_similarity: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="Keep captions whose cosine with the class's definition is at least S."
        ),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="Take the nearest to the definition, instead of a draw.")
    ] = False,
    exclude_others: Annotated[
        bool, typer.Option("--exclude-others", help="Leave out captions that name several of the classes.")
    ] = False,
    others: Annotated[
        Path | None,
        typer.Option(metavar="F", help="A file of further wnids for --exclude-others, one per line."),
    ] = None,
    model: EncoderName = "conse",
    like: Like = None,
    precision: Precision = "float32",
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    out: Annotated[
        Path,
        typer.Option(
            help="The table to write, .csv or .parquet; its images go beside it.", callback=own_file
        ),
    ] = Path("found.parquet"),
    images: Annotated[
        bool, typer.Option(help="Write the images that the pool holds beside the table.")
    ] = True,
    engine: EngineName = "local",
    workers: Workers = 0,
    image_col: ImageCol = None,
    layers: LayersDir = None,
    plan: Plan = False,
    json: JsonFlag = False,
) -> None:
    """Find candidates of classes in a pool by its captions; newtest collect --source table:FOUND reads them.

    Stop it at any time and run it again: what was read and compared is kept.

    Example: newtest search-pool mypool --wnids-file wnids.txt --exclude-others --per-class 200 --out found.parquet
    """
    from newtest.errors import UsageError
    from newtest.pool.search import SearchConfig, search, write_found
    from newtest.pool.storage.pool import open_pool

    config = SearchConfig(
        per_class,
        min_definition_similarity,
        exclude_others or others is not None,
        encoder_of(model, like) or model,
        precision,
        best,
        seed,
    )
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"--out {out}: a table of candidates is a .csv or a .parquet file")
    classes = chosen_classes(wnid, wnids_file, classes_file)
    further = chosen_classes(lines_of(others), None, None) if others is not None else []
    opened = open_pool(pool, layers=layers, image_col=image_col)
    if plan:
        from newtest.pool.work_plans import plan_search

        print_plan(plan_search(opened, classes, further, config).told(workers), as_json=json)
        return
    with progress() as bars:
        found = search(
            opened, classes, config, others=further, engine=engine_of(engine), workers=workers, progress=bars
        )
        written = write_found(found, opened, out, images=images, progress=bars)
    if json:
        told = {"rows_read": written.rows_read, "candidates": len(written.hits)}
        print_json({"out": str(out), **told, "left_out": written.left_out(), "classes": written.by_class()})
        return
    rows = written.by_class()
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    left = ", ".join(f"{number:,} {reason}" for reason, number in written.left_out().items())
    note(f"left out: {left}" if left else "left out: no mention")
    print(
        f"{len(written.hits):,} candidates of {len(rows):,} classes in {written.rows_read:,} rows; wrote {out}; "
        f"collect them with: newtest collect --source table:{out}"
    )
