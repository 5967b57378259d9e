"""newtest score-pool"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.encoder_options import Like, encoder_of
from newtest.cli.options import JsonFlag, note, print_json, progress
from newtest.cli.plan_option import Plan, print_plan
from newtest.cli.pool_options import EngineName, LayersDir, ModelName, PoolAt, VectorsAt, counted, engine_of
from newtest.errors import UsageError

if TYPE_CHECKING:
    from newtest.pool.scoring import Scoring

__all__ = ["score_pool"]


def score_pool(
    pool: PoolAt = ".",
    scorer: Annotated[
        str | None,
        typer.Option(
            metavar="module:function",
            help="Ask a function: it takes image vectors (n, d) and answers n numbers. FILE.py:function works too.",
        ),
    ] = None,
    neg_clip_loss: Annotated[
        bool,
        typer.Option(
            "--neg-clip-loss", help="Compute negCLIPLoss: the CLIP score less what random others have."
        ),
    ] = False,
    norm_sim: Annotated[
        str | None,
        typer.Option(metavar="SET", help="Compute NormSim against SET (images, or .npy of vectors)."),
    ] = None,
    rank: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Bring scores together by their ranks; name each. Repeatable."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What rules call these scores.",
            show_default="the function's name, neg-clip-loss, norm-sim or rank",
        ),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="A file that the function reads; a changed one is scored again. Repeatable."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=2, help="Samples per batch of negCLIPLoss.")] = 32_768,
    batches: Annotated[int, typer.Option(min=1, help="Batches per sample of negCLIPLoss.")] = 10,
    temperature: Annotated[float, typer.Option(help="Temperature of negCLIPLoss.")] = 0.01,
    seed: Annotated[int, typer.Option(help="Seed of negCLIPLoss's batches.")] = 0,
    norm: Annotated[
        str, typer.Option(help="Norm of NormSim: inf (the nearest image of SET decides) or 2 (all do).")
    ] = "inf",
    rank_by: Annotated[str, typer.Option(help="What counts of a row's ranks: mean, worst or best.")] = "mean",
    model: ModelName = None,
    like: Like = None,
    vectors: VectorsAt = None,
    layers: LayersDir = None,
    plan: Plan = False,
    engine: EngineName = "local",
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes; 0 is one, which may use all cores.")
    ] = 0,
    json: JsonFlag = False,
) -> None:
    """Score the rows of a pool from its stored vectors or scores, for rules of filter-pool to use.

    --scorer asks a function of yours: aesthetics, NSFW, watermarks. --neg-clip-loss and --norm-sim are the scores of
    Wang et al. 2024. --rank makes one score of several.

    The scores are kept in the pool's layers. Rules take NAME for a column: --score NAME:0.3, --where 'NAME<0.5'. What
    is there already is kept, and what changed is computed again.

    Example: newtest score-pool mypool --scorer heads:aesthetic --weights aesthetic.pt --model ViT-L-14/openai
    """
    from newtest.pool.scorers import Scorer
    from newtest.pool.scores.layers import by_neg_clip_loss, by_norm_sim, by_ranks
    from newtest.pool.scores.neg_clip_loss import NegClipLoss
    from newtest.pool.scoring import by_function, vectors_for
    from newtest.pool.storage.passes import complete
    from newtest.pool.storage.pool import open_pool
    from newtest.pool.work_plans import plan_neg_clip_loss, plan_ranks, plan_scoring

    _one_of(scorer=scorer, neg_clip_loss=neg_clip_loss, norm_sim=norm_sim, rank=rank)
    opened, runs = open_pool(pool, layers=layers), engine_of(engine)
    encoder = encoder_of(model, like)
    source = None if rank else vectors_for(opened, encoder, vectors)
    if source is not None:
        note(f"vectors: {source.said}")
    config = NegClipLoss(batch, batches, temperature, seed)
    if plan and (source is None or neg_clip_loss):  # these read the whole pool before they score
        found = (
            plan_ranks(opened, rank or [], rank_by)
            if source is None
            else plan_neg_clip_loss(opened, source, config)
        )
        print_plan(found.told(workers), as_json=json)
        return
    with progress() as bars:
        if source is None:
            scoring = by_ranks(opened, name or "rank", rank or [], rank_by, runs, workers, bars)
        elif neg_clip_loss:
            scoring = by_neg_clip_loss(opened, name or "neg-clip-loss", source, config, runs, workers, bars)
        elif norm_sim:
            scoring, unreadable = by_norm_sim(
                opened, name or "norm-sim", source, norm_sim, norm, encoder, workers
            )
            note(f"{norm_sim}: {scoring.layer.config['target_images']:,} images, {unreadable:,} unreadable")
        else:
            function = Scorer(str(scorer), tuple(weights or ()))
            called = name or str(scorer).rpartition(":")[2]
            scoring = by_function(opened, called, function, source, workers)
    if plan:
        print_plan(plan_scoring(scoring).told(workers), as_json=json)
        return
    sums = complete(counted("scoring", scoring.outcomes(runs), len(opened.shards)), len(opened.shards))
    _print(scoring, sums, as_json=json)


def _one_of(**wishes: object) -> None:
    """Raises UsageError unless one of the wishes is given."""
    asked = [wish for wish, value in wishes.items() if value]
    if not asked:
        raise UsageError(
            "name the function that scores: `scorer` module:function; or give `neg_clip_loss`, `norm_sim` or `rank`"
        )
    if len(asked) > 1:
        raise UsageError(f"one score at a time: `{asked[0]}` or `{asked[1]}`")


def _print(scoring: Scoring, sums: Mapping[str, int], *, as_json: bool) -> None:
    from newtest.pool.scoring import range_of
    from newtest.pool.storage.reasons import reasons_in, told

    pool, layer = scoring.pool, scoring.layer
    why = dict(Counter(reasons_in(pool, layer) if sums["failed"] else []).most_common())
    found = range_of(pool, layer)
    if as_json:
        ends = {"lowest": found.low, "mean": found.mean, "highest": found.high}
        print_json({"name": scoring.name, **sums, "reasons": why, **ends, "layer": layer.folder})
        return
    because = f" ({told(why)})" if why else ""
    lies = "" if found.low is None else f"; from {found.low:.4g} to {found.high:.4g}, mean {found.mean:.4g}"
    print(
        f"{scoring.name}: {found.rows:,} of {sums['rows']:,} rows have a score{lies}; {sums['failed']:,} have "
        f"none{because}; {sums['computed']} of {len(pool.shards)} shards computed now"
    )
