"""newtest pool-status"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newtest.cli.options import JsonFlag, print_json, print_table
from newtest.cli.pool_options import LayersDir, PoolAt

if TYPE_CHECKING:
    from newtest.pool.storage.layer_states import LayerState

__all__ = ["pool_status"]


def pool_status(pool: PoolAt = ".", layers: LayersDir = None, json: JsonFlag = False) -> None:
    """Show what a pool holds: shards, rows, columns, and its layers, complete or not. A broken shard means exit code 1.

    Example: newtest pool-status commonpool
    """
    import typer

    from newtest.pool.storage.layer_states import states
    from newtest.pool.storage.opt_outs import known
    from newtest.pool.storage.pool import open_pool
    from newtest.pool.storage.summary import summary

    opened = open_pool(pool, layers=layers)
    found = summary(opened)
    there = states(opened)
    lists = known(opened)
    opt_outs = {"uids": len(lists.uids), "urls": len(lists.urls)}
    if json:
        print_json({**found.__dict__, "opt_outs": opt_outs, "layers": [vars(state) for state in there]})
    else:
        columns = [n if c == found.shards else f"{n} (in {c} shards)" for n, c in found.columns.items()]
        print_table(
            ["pool", ""],
            [
                ("place", opened.place.url), ("shards", found.shards), ("with a tar", found.tars),
                ("with images in the table", found.images_inside),
                ("with an npz", found.embeddings), ("rows", found.rows),
                ("columns", ", ".join(columns)),
                ("opt-outs", f"{opt_outs['uids']:,} uids, {opt_outs['urls']:,} URLs"),
            ],
        )  # fmt: skip
        if there:
            print_table(
                ["layer", "made by", "shards", "rows", "failed rows", ""],
                [
                    (
                        s.folder,
                        _made_by(s),
                        s.shards,
                        s.rows,
                        s.failed,
                        _state(s),
                    )
                    for s in there
                ],
            )
        for sentence in found.broken:
            print(f"broken: {sentence}")
    if found.broken:
        raise typer.Exit(1)


def _made_by(layer: LayerState) -> str:
    config = layer.config
    if "scorer" in config:
        return f"{config['name']} by {config['scorer']}"
    return str(config.get("encoder", "") or config.get("detector", ""))


def _state(layer: LayerState) -> str:
    if layer.complete:
        return "complete"
    return f"{layer.known:,} rows asked about so far" if layer.known < layer.rows else "not complete"
