"""newtest reference"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, print_json, print_table, progress

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Register the original test set that a study replicates.",
)


@app.command("add", short_help="Register the original test set.")
def add(
    name: Annotated[str, typer.Argument(help="What to call it, such as imagenet-val.")],
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="An ImageFolder by wnid; with --table the bytes."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table", metavar="FILE", help="CSV, Parquet or JSON: image_id, wnid, optionally url or path."
        ),
    ] = None,
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Register the original test set, from a folder or a table, with or without its bytes.

    Example: newtest reference add imagenet-val --images /data/imagenet/val
    """
    from newtest.errors import UsageError
    from newtest.fetching import FetchConfig, fetch_missing
    from newtest.reference import add_reference, members_of, with_files_from
    from newtest.sets import read_image_set
    from newtest.study import Study

    if table is not None:
        found = read_image_set(table)
        members, census = members_of(found), found.census
        if images is not None:
            members, census = with_files_from(members, images)
    elif images is not None:
        found = read_image_set(images)
        members, census = members_of(found), found.census
    else:
        raise UsageError("say what the reference is: --images DIR or --table FILE (or both)")
    with Study(study, create=True) as opened:
        added = add_reference(opened, name, members, str((table or images or Path()).resolve()))
        with progress() as bars:
            summary = fetch_missing(
                opened,
                FetchConfig(thumbnails=False),
                image_ids=added.image_ids,
                progress=bars,
            )
    result = {"name": name, "images": added.images, "classes": added.classes, "fetched": summary.fetched}
    if json:
        told = {
            "failed": summary.failed + summary.gone,
            "not_fetched": summary.kinds,
            "animated": summary.animated,
        }
        print_json({**result, **told, "unknown_classes": added.unknown, "files": census.as_json()})
    else:
        if images is not None:
            note(f"{images}: {census.says()}")
        note(
            f"{name}: {added.images} images of {added.classes} classes, bytes of {summary.fetched} stored now"
        )
        if summary.animated:
            note(f"{summary.animated} hold several pictures: the first is shown")
        if added.unknown:
            note(
                f"not in WordNet 3.0, or it is not installed: {', '.join(added.unknown[:10])} ({len(added.unknown)})"
            )
        if summary.kinds:
            print_table(["no bytes", "images"], summary.kinds.items())
    if summary.failed or summary.gone:
        raise typer.Exit(1)


@app.command("list", short_help="List the reference sets of the study.")
def list_(study: StudyDir = Path(), json: JsonFlag = False) -> None:
    """List the reference sets of the study, and how many of their images have bytes.

    Example: newtest reference list --study goldfish
    """
    from newtest.catalog.references import references
    from newtest.study import Study

    with Study(study) as opened:
        found = references(opened.catalog)
    if json:
        print_json([row.__dict__ for row in found])
    else:
        columns = ["name", "images", "classes", "with bytes", "from"]
        print_table(columns, [(r.name, r.images, r.classes, r.with_bytes, r.origin) for r in found])
