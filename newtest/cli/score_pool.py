"""newtest score-pool"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.encoder_options import Like, encoder_of
from newtest.cli.options import JsonFlag, note, print_json
from newtest.cli.pool_options import EngineName, LayersDir, ModelName, PoolAt, VectorsAt, counted

__all__ = ["score_pool"]


def score_pool(
    pool: PoolAt = ".",
    scorer: Annotated[
        str,
        typer.Option(
            metavar="module:function",
            help="The function: it takes image vectors (n, d) and answers n numbers. FILE.py:function works too.",
        ),
    ] = "",
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What rules call these scores.", show_default="the function's own name"
        ),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="A file that the function reads; a changed one is scored again. Repeatable."
        ),
    ] = None,
    model: ModelName = None,
    like: Like = None,
    vectors: VectorsAt = None,
    layers: LayersDir = None,
    engine: EngineName = "local",
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes; 0 is one, which may use all cores.")
    ] = 0,
    json: JsonFlag = False,
) -> None:
    """Score the images of a pool by your own function over their stored vectors: aesthetics, NSFW, watermarks.

    The scores are kept in the pool's layers. Rules of filter-pool take NAME for a column: --score NAME:0.3,
    --where 'NAME<0.5'. A function whose source or weights changed is asked again; what is there already is kept.

    Example: newtest score-pool mypool --scorer heads:aesthetic --weights aesthetic.pt --model ViT-L-14/openai
    """
    from collections import Counter

    from newtest.engines import engine as engine_of
    from newtest.errors import UsageError
    from newtest.pool.scorers import Scorer
    from newtest.pool.scoring import named_layer, range_of, score_by, vectors_for
    from newtest.pool.storage.passes import complete
    from newtest.pool.storage.pool import open_pool
    from newtest.pool.storage.reasons import reasons_in, told

    if not scorer:
        raise UsageError("name the function that scores: `scorer` module:function")
    function = Scorer(scorer, tuple(weights or ()))
    called = name or scorer.rpartition(":")[2]
    opened = open_pool(pool, layers=layers)
    source = vectors_for(opened, encoder_of(model, like), vectors)
    note(f"vectors: {source.said}")
    outcomes = score_by(opened, called, function, source, engine_of(engine), workers)
    sums = complete(counted("scoring", outcomes, len(opened.shards)), len(opened.shards))
    layer = named_layer(opened, called, function, source)
    why = dict(Counter(reasons_in(opened, layer) if sums["failed"] else []).most_common())
    found = range_of(opened, layer)
    if json:
        ends = {"lowest": found.low, "mean": found.mean, "highest": found.high}
        print_json({"name": called, **sums, "reasons": why, **ends, "layer": layer.folder})
        return
    because = f" ({told(why)})" if why else ""
    lies = "" if found.low is None else f"; from {found.low:.4g} to {found.high:.4g}, mean {found.mean:.4g}"
    print(
        f"{called}: {found.rows:,} of {sums['rows']:,} rows have a score{lies}; {sums['failed']:,} have none{because}; "
        f"{sums['computed']} of {len(opened.shards)} shards computed now"
    )
