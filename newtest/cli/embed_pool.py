"""newtest embed-pool"""

from __future__ import annotations

from typing import Annotated

import typer

from newtest.cli.encoder_options import EncoderName, Like, Precision, encoder_of
from newtest.cli.options import JsonFlag, note, print_json
from newtest.cli.plan_option import Plan, print_plan
from newtest.cli.pool_options import EngineName, ImageCol, LayersDir, PoolAt, Workers, counted, engine_of

__all__ = ["embed_pool"]


def embed_pool(
    pool: PoolAt = ".",
    model: EncoderName = "conse",
    like: Like = None,
    precision: Precision = "float32",
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 64,
    decoders: Annotated[int, typer.Option(min=0, help="Decoding threads per worker; 0 is one per core.")] = 0,
    workers: Workers = 0,
    engine: EngineName = "local",
    image_col: ImageCol = None,
    layers: LayersDir = None,
    plan: Plan = False,
    json: JsonFlag = False,
) -> None:
    """Embed the images and captions of a pool, and keep their CLIP scores beside it, for filters, dedup and the rest.

    What is there already is not computed again; stop it at any time and run it again.

    Example: newtest embed-pool mypool --model ViT-B-32/openai --precision bfloat16
    """
    from collections import Counter

    from newtest.clip.torch_runtime import gpus
    from newtest.engines import Resources
    from newtest.pool.embedding import (
        EmbedConfig,
        embed,
        embeddings_layer,
        encoder_facts,
        require_images_embedded,
        score,
        scores_layer,
    )
    from newtest.pool.storage.passes import complete
    from newtest.pool.storage.pool import open_pool
    from newtest.pool.storage.reasons import reasons_in, told

    config = EmbedConfig(encoder_of(model, like) or model, precision, batch, decoders)
    opened = open_pool(pool, layers=layers, image_col=image_col)
    if plan:
        from newtest.pool.pass_plans import plan_embed

        print_plan(plan_embed(opened, config).told(workers), as_json=json)
        return
    encoder = encoder_facts(config)
    name = encoder.name
    if encoder.doubt:
        note(f"warning: {encoder.doubt}")
    on_gpu = gpus() > 0
    note(f"encoder: {name}, on {'CUDA' if on_gpu else 'the CPU'}; layer {embeddings_layer(encoder).folder}")
    # One process runs a model on all cores; more of them would only share the cores.
    resources = Resources(workers, gpus=1.0 if on_gpu else 0.0, alone=not on_gpu)
    outcomes = embed(opened, config, engine_of(engine), resources)
    sums = complete(counted("embedding", outcomes, len(opened.shards)), len(opened.shards))
    require_images_embedded(opened, encoder, sums)
    complete(score(opened, config, engine_of("local"), workers), len(opened.shards))
    why = Counter(reasons_in(opened, embeddings_layer(encoder)) if sums["failed"] else [])
    if json:
        folders = {"embeddings": embeddings_layer(encoder).folder, "scores": scores_layer(encoder).folder}
        print_json({"encoder": name, **sums, "reasons": dict(why.most_common()), "layers": folders})
    else:
        because = f" ({told(dict(why.most_common()))})" if why else ""
        print(
            f"{sums['rows']:,} rows in {len(opened.shards)} shards, {sums['computed']} of them computed now; "
            f"{sums['failed']:,} rows have no score{because}; encoder {name}"
        )
