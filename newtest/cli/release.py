"""newtest release"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, on_this_machine, print_json, progress

__all__ = ["release"]


def release(
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="A revision that newtest sample drew.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="A new folder.",
            show_default="STUDY/releases/REVISION",
            callback=on_this_machine,
        ),
    ] = None,
    format: Annotated[  # the option's own name
        list[str] | None,
        typer.Option(
            "--format",
            help="imagefolder, webdataset or parquet; may be repeated.",
            show_default="imagefolder",
        ),
    ] = None,
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Write a revision as a dataset: original bytes, manifest, hashes, card, attributions. Never changed after.

    Example: newtest release a-1 --out goldfish-a-1 --format imagefolder --format webdataset
    """
    from newtest.releasing import build_release
    from newtest.study import Study

    formats = tuple(format or ("imagefolder",))
    with Study(study) as opened, progress() as bars:
        made = build_release(opened, revision, out, formats=formats, progress=bars)
    _warn(
        made.forbidden,
        "have a licence that forbids passing them on; the release must not be published with them",
    )
    _warn(made.unlicensed, "have no licence that newtest knows; settle that before the release is published")
    _warn(
        made.blocked,
        "were blocked after this revision was drawn; draw a new one with newtest sample --parent",
    )
    if made.simulated:
        note("warning: this set was drawn from SIMULATED votes; its card says so")
    if json:
        print_json(made.__dict__)
    else:
        note(f"{made.images} images of {made.classes} classes, {made.num_bytes / 2**20:.1f} MiB, in:")
        print(made.path)


def _warn(ids: tuple[str, ...], what: str) -> None:
    if ids:
        note(f"warning: {len(ids)} images {what}: {', '.join(ids[:5])}{', ...' if len(ids) > 5 else ''}")
