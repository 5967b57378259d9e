"""newtest balance-pool"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.balance_groups import GroupsAsked, balance_groups
from newtest.cli.encoder_options import Like, encoder_of
from newtest.cli.options import JsonFlag, note, own_subset, print_json, print_table, progress
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
from newtest.errors import UsageError

__all__ = ["balance_pool"]


def balance_pool(
    pool: PoolAt = ".",
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Queries, one per line; or a folder with a file per language: en.txt, de.txt, ...",
            show_default="WordNet's nouns that captions contain",
        ),
    ] = None,
    at_least: Annotated[int, typer.Option(min=1, help="Captions a noun must be in, to be a query.")] = 20,
    cap: Annotated[
        int,
        typer.Option(
            help="Samples that a query (or group) may bring, on average; with several languages, an English query."
        ),
    ] = 20_000,
    power: Annotated[
        float,
        typer.Option(help="Make the cap soft: draw with probability (cap / count) to this power, 0 to 1."),
    ] = 1.0,
    language_col: Annotated[
        str | None,
        typer.Option(help="The column with each caption's language code.", show_default="ask fastText"),
    ] = None,
    per: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP",
            help="Cap groups instead of queries: host (of the URL), cluster (of the vectors), or a column's values.",
        ),
    ] = None,
    clusters: Annotated[
        int, typer.Option(min=0, help="Clusters of the k-means, with --per cluster; 0 is one per 1,000 rows.")
    ] = 0,
    model: ModelName = None,
    like: Like = None,
    vectors: VectorsAt = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws, and of the k-means.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The subset; the table of queries or groups goes beside it.",
            callback=own_subset,
            show_default="balanced.npy",
        ),
    ] = None,
    image_col: ImageCol = None,
    layers: LayersDir = None,
    plan: Plan = False,
    engine: EngineName = "local",
    workers: Workers = 0,
    json: JsonFlag = False,
) -> None:
    """Cap how many samples each query may bring, as CLIP's and MetaCLIP's curation does; rare queries stay whole.

    With a folder of queries each caption is matched with those of its language. English keeps the cap. Every other
    language gets the cap at which its rare queries have the same share of the matches as in English (MetaCLIP 2).

    With --per each row is in one group, and large groups are capped: websites by their host, look-alikes by their
    cluster, or the values of any column.

    Example: newtest balance-pool commonpool --queries queries.txt --cap 20000
    """
    out = out or default_out(pool, "balanced.npy")
    if per is not None:
        if queries is not None or language_col is not None:
            raise UsageError("`per` caps groups; it goes without `queries` and `language_col`")
        source = (encoder_of(model, like), vectors)
        groups = GroupsAsked(
            pool, per, clusters, source, cap, power, seed, image_col, layers, engine, workers
        )
        balance_groups(groups, out, plan=plan, as_json=json)
        return
    if clusters or model or like or vectors:
        raise UsageError("`clusters`, `model`, `like` and `vectors` go with `per` cluster")
    from newtest.pool.balance import ANY, Balancing, balance, queries_from_captions
    from newtest.pool.dedup.pairs import write_pairs
    from newtest.pool.filtering.text_synsets import wordnet_folder
    from newtest.pool.queries import queries_by_language, read_queries
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.pool import open_pool

    opened, chosen = open_pool(pool, layers=layers, image_col=image_col), engine_of(engine)
    if queries is not None:
        wanted = queries_by_language(queries) if queries.is_dir() else {ANY: read_queries(queries)}
    else:
        with progress() as bars:
            nouns = queries_from_captions(
                opened, wordnet_folder() / "index.noun", at_least, chosen, workers, bars
            )
        wanted = {ANY: nouns}
        note(f"queries: {len(nouns):,} nouns of WordNet that at least {at_least} captions contain")
    config = Balancing(wanted, cap, power, seed, language_col)
    if plan:
        from newtest.pool.pass_plans import plan_balance

        print_plan(plan_balance(opened, config).told(workers), as_json=json)
        return
    with progress() as bars:
        found = balance(opened, config, chosen, workers, bars)
    table = out.with_suffix(".queries.parquet")
    write_pairs(found.queries, table)
    subsets.write(found.subset, out)
    manifest = found.subset.manifest
    if json:
        print_json({"out": str(out), "queries_file": str(table), "rows": len(found.subset), **manifest})
        return
    print_table(
        [{"count": "captions"}.get(name, name) for name in found.queries.column_names],
        [list(row.values()) for row in found.queries.slice(0, 10).to_pylist()],
    )
    languages = manifest["balance"].get("languages", {})
    if languages:
        rows = [(name, own["rows"], own["queries"], own["cap"]) for name, own in languages.items()]
        print_table(["language", "rows", "queries", "cap"], rows)
        print(f"{manifest['rows_in_other_languages']:,} rows are in languages without queries")
    head, tail = manifest["head"], manifest["tail"]
    print(
        f"head: {head['queries']:,} queries above the cap with {head['matches']:,} matches; tail: "
        f"{tail['queries']:,} with {tail['matches']:,}"
    )
    opted_out = f", {n:,} opted out" if (n := manifest["rows_opted_out"]) else ""
    print(
        f"kept {len(found.subset):,} of {manifest['rows_read']:,} rows, "
        f"{manifest['rows_that_match_no_query']:,} match no query, {manifest['rows_not_drawn']:,} were not drawn"
        f"{opted_out}; "
        f"wrote {out} and {table}"
    )
