"""newtest filter-pool"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.encoder_options import Like, encoder_of
from newtest.cli.options import JsonFlag, note, own_folder, own_subset, print_json, print_table, progress
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

if TYPE_CHECKING:
    from newtest.pool.filtering.recipe import Recipe
    from newtest.pool.storage.subset import Subset

__all__ = ["filter_pool"]


def filter_pool(
    pool: PoolAt = ".",
    clip_score: Annotated[bool, typer.Option("--clip-score", help="Keep the best by CLIP score.")] = False,
    fraction: Annotated[
        float | None, typer.Option(help="Share of the pool's rows that a score keeps.", show_default="0.3")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(help="Keep scores of at least this, instead of a fraction.")
    ] = None,
    model: ModelName = None,
    like: Like = None,
    arch: Arch = None,
    vectors: VectorsAt = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="A rule on any column: 'score<=0.5', license=by,cc0, width=200..800, nsfw=null.",
        ),
    ] = None,
    function: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.py:NAME",
            help="A function of your own: its parameters name columns; it answers true or false per row.",
        ),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Any score column: COLUMN, COLUMN:0.3 (fraction) or 'COLUMN>=5'."
        ),
    ] = None,
    basic: Annotated[bool, typer.Option("--basic", help="Apply DataComp's basic rules.")] = False,
    english: Annotated[
        bool, typer.Option("--english", help="Keep captions that fastText calls English.")
    ] = False,
    laion2b: Annotated[
        bool,
        typer.Option(
            "--laion2b", help="Keep captions that cld3 calls English, with a B/32 score of 0.28 or more."
        ),
    ] = False,
    text_synsets: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="English captions with a word whose first synset is in this list of wnids."
        ),
    ] = None,
    image_near: Annotated[
        str | None,
        typer.Option(metavar="SET", help="English, and in a cluster that SET (images, or .npy) also uses."),
    ] = None,
    min_words: Annotated[int | None, typer.Option(help="Smallest number of words.")] = None,
    min_chars: Annotated[int | None, typer.Option(help="Smallest number of characters.")] = None,
    min_size: Annotated[int | None, typer.Option(help="Smallest shorter side, in pixels.")] = None,
    max_aspect: Annotated[float | None, typer.Option(help="Largest longer side over shorter.")] = None,
    pii: Annotated[
        bool,
        typer.Option(
            "--pii", help="Keep no caption with an e-mail address, telephone, street or identity number."
        ),
    ] = False,
    remove_urls: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="URLs that opted out, one per line; the pool remembers them."),
    ] = None,
    remove_uids: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Uids that opted out, one per line; the pool remembers them."),
    ] = None,
    combine: Annotated[str, typer.Option(help="How the rules combine: and, or.")] = "and",
    out: Annotated[
        Path | None,
        typer.Option(help="The subset to write.", show_default="named by the rules", callback=own_subset),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a page: histograms, counts, examples with their images.",
            callback=own_folder,
        ),
    ] = None,
    say_why: Annotated[
        bool, typer.Option("--say-why", help="Write which rule dropped each row, for audit-pool --by rule.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and print; write nothing.")] = False,
    image_col: ImageCol = None,
    layers: LayersDir = None,
    plan: Plan = False,
    engine: EngineName = "local",
    workers: Workers = 0,
    json: JsonFlag = False,
) -> None:
    """Choose the rows of a pool that rules keep: DataComp's baselines, or rules of your own.

    Writes a sorted "u8,u8" .npy of uids and a .json manifest with rules, cuts and counts. Without another option
    --clip-score keeps the best 30 % by L/14 (or B/32, or the pool's one scores layer). Languages that were found are
    kept in the pool's layers, and the next run asks no detector about those captions again.

    Example: newtest filter-pool commonpool --clip-score --fraction 0.3 --model l14
    """
    from newtest.pool.filtering.recipe import Recipe, carried_out, plan_of
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.pool import open_pool

    recipe = Recipe(
        clip_score=clip_score, fraction=fraction, min_score=min_score, arch=encoder_of(model or arch, like),
        scores=tuple(score or ()),
        where=tuple(where or ()), functions=tuple(function or ()), vectors=vectors,
        basic=basic,
        english=english, laion2b=laion2b, text_synsets=text_synsets, image_near=image_near,
        min_words=min_words, min_chars=min_chars,
        min_size=min_size, max_aspect=max_aspect, pii=pii,
        remove_urls=remove_urls, remove_uids=remove_uids, combine=combine, say_why=say_why, dry_run=dry_run,
    )  # fmt: skip
    target = None if dry_run else out or default_out(pool, f"{recipe.name}.npy")
    opened = open_pool(pool, layers=layers, image_col=image_col)
    if plan:
        from newtest.pool.work_plans import plan_filtering

        print_plan(plan_filtering(opened, recipe, engine_of(engine), workers), as_json=json)
        return
    with progress() as bars:
        rules = plan_of(opened, recipe, engine_of(engine), workers, bars)
        chosen = carried_out(opened, rules, engine_of(engine), workers, bars)
    if target is not None:
        subsets.write(chosen, target)
    if report is not None and not dry_run:
        from newtest.pool.filtering.report import write_report

        with progress() as bars:
            page = write_report(opened, rules, report, progress=bars)
        note(f"report: {page}")
    if json:
        print_json({"out": None if target is None else str(target), "rows": len(chosen), **chosen.manifest})
    else:
        _print(recipe, chosen, target)


def _print(recipe: Recipe, chosen: Subset, target: Path | None) -> None:
    manifest = chosen.manifest
    print_table(
        ["rule", "asked about", "dropped"],
        [
            (rule["name"], manifest["rules_saw"][rule["name"]], manifest["dropped_by_rule"][rule["name"]])
            for rule in manifest["rules"]
        ],
    )
    if manifest["dropped_by_reason"]:
        print_table(
            ["rule", "filter", "reason", "rows"],
            [
                (row["rule"], row["filter"], row["reason"], row["rows"])
                for row in manifest["dropped_by_reason"]
            ],
        )
    share = len(chosen) / manifest["rows_read"] if manifest["rows_read"] else 0.0
    print(f"kept {len(chosen):,} of {manifest['rows_read']:,} rows ({share:.2%}) by {recipe.name}")
    print(f"wrote {target} and its manifest" if target is not None else "dry run: nothing was written")
