"""newtest caption-pool"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, print_json

__all__ = ["caption_pool"]


def caption_pool(
    labels: Annotated[
        Path, typer.Argument(help="The labelled set: file, wnid, photo_id (CSV, TSV, Parquet, JSON lines).")
    ],
    photos: Annotated[Path, typer.Argument(help="The photos: photo_id, title, description, tags, url.")],
    out: Annotated[str, typer.Option(help="The pool to write.")] = "captions",
    json: JsonFlag = False,
) -> None:
    """Join a labelled set with the text of its Flickr photos into an image-text pool (ImageNet-Captions).

    Example: newtest caption-pool imagenet.csv flickr.jsonl --out imagenet-captions
    """
    from newtest.pool.captions import join_captions, read_rows

    found = join_captions(read_rows(labels), read_rows(photos), out)
    if json:
        print_json({"out": out, **vars(found), "match_rate": found.match_rate})
    else:
        print(
            f"{found.captioned:,} of {found.rows:,} rows have a caption ({found.match_rate:.1%}); "
            f"{found.matched - found.captioned:,} more have a photo without text, "
            f"{found.rows - found.matched:,} meet no photo; "
            f"of {found.photos:,} photos {found.photos_unused:,} are named by no row and "
            f"{found.photos_repeated:,} stand there twice; "
            + (f"{found.texts_cut:,} texts were cut at 20,000 characters; " if found.texts_cut else "")
            + f"wrote {out}"
        )
