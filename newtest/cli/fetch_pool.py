"""newtest fetch-pool"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.options import JsonFlag, note, print_json, print_table
from newtest.cli.plan_option import Plan, print_plan
from newtest.cli.pool_options import EngineName, Workers, counted, default_out, engine_of

if TYPE_CHECKING:
    from newtest.pool.fetching.taking import Taken

__all__ = ["fetch_pool"]


def fetch_pool(
    pool: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="A table of URLs, or a folder of such tables; also at an fsspec URL.",
            show_default="the current folder",
        ),
    ] = ".",
    out: Annotated[
        str | None, typer.Option(help="The pool to write: a folder or an fsspec URL.", show_default="shards")
    ] = None,
    url_col: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of URLs.", show_default="url or URL")
    ] = None,
    caption_col: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column of captions.", show_default="text, caption or TEXT"),
    ] = None,
    uid_col: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of uids.", show_default="uid, else made")
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="Convert text that is not UTF-8 from this: latin-1, ...", show_default="refuse it"),
    ] = None,
    shard_rows: Annotated[int, typer.Option(min=1, help="Rows per shard.")] = 10_000,
    connections: Annotated[int, typer.Option(min=1, help="Downloads at once.")] = 256,
    per_host: Annotated[int, typer.Option(min=1, help="Downloads at once from one host.")] = 32,
    retries: Annotated[int, typer.Option(min=0, help="Tries again within this run.")] = 4,
    blur_faces: Annotated[
        bool, typer.Option("--blur-faces", help="Blur the faces that the column face_bboxes names.")
    ] = False,
    resize: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            help="Resize images: keep_ratio, keep_ratio_largest, center_crop, border, or no (write again, as large).",
            show_default="keep the bytes that came",
        ),
    ] = None,
    size: Annotated[int, typer.Option(min=1, help="Pixels of the side that --resize sets.")] = 256,
    format: Annotated[str, typer.Option(help="jpg, png or webp, for --resize.")] = "jpg",
    quality: Annotated[
        int, typer.Option(min=1, max=100, help="Quality of JPEG and WebP, for --resize.")
    ] = 95,
    only_if_bigger: Annotated[
        bool, typer.Option("--only-if-bigger", help="Leave images that are small enough as they came.")
    ] = False,
    robots: Annotated[
        bool, typer.Option("--robots", help="Read each site's robots.txt first, and obey it.")
    ] = False,
    allow_below: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Read URLs that are files or objects below this folder or s3:// address; repeatable.",
        ),
    ] = None,
    have: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR",
            help="Take images from tars that were downloaded before, by the uid in each .json; repeatable.",
        ),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow addresses inside this network too.")
    ] = False,
    plan: Plan = False,
    engine: EngineName = "local",
    workers: Workers = 0,
    json: JsonFlag = False,
) -> None:
    """Download a table of URLs and captions (DataComp's metadata, LAION's) into shards of tar and Parquet.

    TABLE is a folder or one file of Parquet, CSV, TSV, TXT, JSON or JSON lines, gzipped or not. Every column stays, in
    the new table and in each sample's .json.

    Run it again to retry the downloads that may work later. What is there is kept.

    Each host is asked by one worker, so its limits hold for all workers together.

    Example: newtest fetch-pool metadata --out mypool
    """
    out = out or str(default_out(pool, "shards"))
    from collections import Counter

    from newtest.download import DownloadConfig
    from newtest.pool.fetching import fetch_shards
    from newtest.pool.resizing import Resize
    from newtest.pool.url_tables import url_tables

    tables = url_tables(pool, url_col=url_col, caption_col=caption_col, uid_col=uid_col, encoding=encoding)
    if tables.others:
        note(
            f"left out: {len(tables.others)} files that are not tables, or not of the format of {tables.files[0].name}"
        )
    total = tables.shards(shard_rows)
    config = DownloadConfig(
        total=connections, per_host=per_host, retries=retries, allow_private=allow_private, robots=robots
    )
    if plan:
        from newtest.pool.work_plans import plan_fetch

        print_plan(plan_fetch(tables, config, workers), as_json=json)
        return
    taken: list[Taken] = []
    if have:
        note("tars that are there are read first")
    shards = fetch_shards(
        tables, out, config, shard_rows=shard_rows, blur_faces=blur_faces,
        resize=Resize(resize, size, format, quality, only_if_bigger) if resize else None,  # type: ignore[arg-type]
        allow_below=allow_below or (), engine=engine_of(engine), workers=workers, have=have or (), told=taken.append,
    )  # fmt: skip
    done = list(counted("downloading", shards, total))
    for said in taken:
        _say(said)
    errors = sum((Counter(shard.errors) for shard in done), Counter[str]())
    names = ("rows", "success", "retry", "asked")
    sums = {name: sum(getattr(shard, name) for shard in done) for name in names}
    if errors["not-allowed"]:
        note(
            f"{errors['not-allowed']:,} URLs name files of this machine or objects of a store; `allow_below` reads "
            "those below one place"
        )
    if json:
        print_json(
            {
                "out": out, "shards": len(done), **sums, "left_out": sums["rows"] - sums["success"],
                "errors": dict(errors.most_common()), "files_left_out": list(tables.others[:1000]),
                **({"taken": taken[0].as_json()} if taken else {}),
            }
        )  # fmt: skip
    else:
        if errors:
            print_table(["no image because", "rows"], errors.most_common())
        left = (
            f"{sums['retry']:,} may work later: run it again"
            if sums["retry"]
            else "no failure is worth another try"
        )
        print(
            f"{sums['success']:,} of {sums['rows']:,} images are in {len(done)} shards of {out}; "
            f"{sums['asked']:,} were asked for now, {left}"
        )


def _say(taken: Taken) -> None:
    """What was taken from tars, and what of them was not."""
    left = "".join(f"; {number:,} {reason}" for reason, number in taken.left_out.most_common())
    note(f"taken from tars: {taken.images:,} images; {taken.unasked:,} samples are not asked for{left}")
    for said in taken.damaged:
        note(said)
