"""newtest import-pool"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, note, print_json, progress
from newtest.progress import watched

__all__ = ["import_pool"]

NAMED = 20


def import_pool(
    source: Annotated[
        Path, typer.Argument(help="A folder of images with captions, or of tars without tables.")
    ],
    out: Annotated[
        str | None,
        typer.Option(help="The pool to write.", show_default="beside the tars, where there are any"),
    ] = None,
    shard_rows: Annotated[int, typer.Option(min=1, help="Images per shard.")] = 10_000,
    encoding: Annotated[
        str | None,
        typer.Option(
            help="Convert text that is not UTF-8 from this: latin-1, cp1252, ...", show_default="refuse it"
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Make a pool of images with their captions, or write tables for tars that have none.

    Captions come from captions.csv, .tsv, .jsonl or .parquet (columns file and text). Hugging Face's metadata.csv,
    .jsonl or .parquet (file_name) is read too. So is a .txt beside each image, or img2dataset's .json there. All
    captions of an image are kept. A caption without an image is counted and named.

    Example: newtest import-pool photos --out mypool
    """
    from newtest.errors import PoolError, UsageError
    from newtest.pool.importing import (
        ImportReport,
        holds_tars,
        import_folder,
        import_tars,
        left_beside,
        read_folder,
    )

    if not source.is_dir():
        raise PoolError(f"{source}: there is no such folder")
    if holds_tars(source):
        if out is not None:
            raise UsageError("the tables of tars go beside the tars; leave --out away")
        report = ImportReport(list(import_tars(source, encoding=encoding)), left_beside(source))
    elif out is None:
        raise UsageError("a folder of images needs --out: where to write the pool")
    else:
        folder = read_folder(source, encoding)
        shards = -(-len(folder.walked.images) // shard_rows)
        with progress() as bars:
            done = list(watched(bars, "importing", import_folder(folder, out, shard_rows=shard_rows), shards))
        report = ImportReport(done, folder.left_out(), folder.captions.unmatched, folder.captions.rows)
    if json:
        print_json(report.as_json())
        return
    for name, reason in report.everything_left_out[:NAMED]:
        note(f"left out: {name} ({reason})")
    for table, file in report.unmatched[:NAMED]:
        note(f"no image: {file} of {table}")
    more = max(0, len(report.everything_left_out) - NAMED) + max(0, len(report.unmatched) - NAMED)
    if more:
        note(f"and {more:,} more; --json names up to a thousand of each")
    print(report.says() if report.shards else "every tar has its table already; nothing was written")
