"""newtest import-pool"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, note, print_json

__all__ = ["import_pool"]


def import_pool(
    source: Annotated[
        Path, typer.Argument(help="A folder of images with captions, or of tars without tables.")
    ],
    out: Annotated[
        str | None,
        typer.Option(help="The pool to write.", show_default="beside the tars, where there are any"),
    ] = None,
    shard_rows: Annotated[int, typer.Option(min=1, help="Images a shard.")] = 10_000,
    json: JsonFlag = False,
) -> None:
    """Make a pool of images with captions (a .txt beside each, or captions.csv), or write tables for tars that
    have none.

    Example: newtest import-pool photos --out mypool
    """
    from newtest.errors import PoolError, UsageError
    from newtest.pool.importing import import_folder, import_tars

    if not source.is_dir():
        raise PoolError(f"{source}: there is no such folder")
    if any(source.glob("*.tar")):
        done = list(import_tars(source))
    elif out is None:
        raise UsageError("a folder of images needs --out: where to write the pool")
    else:
        done = list(import_folder(source, out, shard_rows=shard_rows))
    for shard in done:
        for name, reason in shard.left_out:
            note(f"left out: {name} ({reason})")
    result = {
        "shards": len(done),
        "rows": sum(s.rows for s in done),
        "left_out": sum(len(s.left_out) for s in done),
    }
    if json:
        print_json(result)
    elif not done:
        print("every tar has its table already; nothing was written")
    else:
        print(
            f"wrote {result['rows']:,} rows in {result['shards']} shards; {result['left_out']} files left out"
        )
