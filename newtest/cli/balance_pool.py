"""newtest balance-pool"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, note, own_subset, print_json, print_table, progress
from newtest.cli.pool_options import EngineName, ImageCol, PoolAt, Workers, default_out

__all__ = ["balance_pool"]


def balance_pool(
    pool: PoolAt = ".",
    queries: Annotated[
        Path | None,
        typer.Option(help="Queries, one per line.", show_default="WordNet's nouns that captions contain"),
    ] = None,
    at_least: Annotated[int, typer.Option(min=1, help="Captions a noun must be in, to be a query.")] = 20,
    cap: Annotated[int, typer.Option(help="Samples that a query may bring, on average.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The subset; the table of queries goes beside it.",
            callback=own_subset,
            show_default="balanced.npy",
        ),
    ] = None,
    image_col: ImageCol = None,
    engine: EngineName = "local",
    workers: Workers = 0,
    json: JsonFlag = False,
) -> None:
    """Cap how many samples each query may bring, as CLIP's and MetaCLIP's curation does; rare queries stay whole.

    Example: newtest balance-pool commonpool --queries queries.txt --cap 20000
    """
    out = out or default_out(pool, "balanced.npy")
    from newtest.engines import engine as engine_of
    from newtest.pool.balance import balance, queries_from_captions, read_queries
    from newtest.pool.dedup.pairs import write_pairs
    from newtest.pool.filtering.text_synsets import wordnet_folder
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.pool import open_pool

    opened, chosen = open_pool(pool, image_col=image_col), engine_of(engine)
    if queries is not None:
        wanted = read_queries(queries)
    else:
        with progress() as bars:
            wanted = queries_from_captions(
                opened, wordnet_folder() / "index.noun", at_least, chosen, workers, bars
            )
        note(f"queries: {len(wanted):,} nouns of WordNet that at least {at_least} captions contain")
    with progress() as bars:
        found = balance(opened, wanted, cap, seed, chosen, workers, bars)
    table = out.with_suffix(".queries.parquet")
    write_pairs(found.queries, table)
    subsets.write(found.subset, out)
    manifest = found.subset.manifest
    if json:
        print_json({"out": str(out), "queries_file": str(table), "rows": len(found.subset), **manifest})
        return
    print_table(
        ["query", "captions", "probability"],
        [list(row.values()) for row in found.queries.slice(0, 10).to_pylist()],
    )
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
