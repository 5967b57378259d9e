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
            help="imagefolder, webdataset, parquet, csv or fiftyone; may be repeated.",
            show_default="imagefolder",
        ),
    ] = None,
    without_bytes: Annotated[
        bool,
        typer.Option(
            "--without-bytes", help="Write ids, hashes and addresses alone, also of images that are not here."
        ),
    ] = False,
    about: Annotated[
        Path | None,
        typer.Option(
            "--about",
            metavar="FILE",
            help="TOML with what only a person knows: creator, url, citation, use_cases, ...",
        ),
    ] = None,
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Write a revision as a dataset: original bytes, manifest, hashes, card, attributions. Never changed after.

    Example: newtest release a-1 --out goldfish-a-1 --format imagefolder --format webdataset
    """
    from newtest.releasing import build_release
    from newtest.releasing.about import About, read_about
    from newtest.study import Study

    formats, answers = tuple(format or ("imagefolder",)), read_about(about) if about else About()
    with Study(study) as opened, progress() as bars:
        made = build_release(
            opened, revision, out, formats=formats, without_bytes=without_bytes, about=answers, progress=bars
        )
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
        print_json({**made.__dict__, "unanswered": answers.unanswered})
    else:
        note(f"{made.images} images of {made.classes} classes, {made.num_bytes / 2**20:.1f} MiB, in:")
        print(made.path)
    if answers.unanswered:
        note(
            f"not answered in the card and in croissant.json: {', '.join(answers.unanswered)}; "
            "`about` names a file with the answers"
        )


def _warn(ids: tuple[str, ...], what: str) -> None:
    if ids:
        note(f"warning: {len(ids)} images {what}: {', '.join(ids[:5])}{', ...' if len(ids) > 5 else ''}")
