"""newtest corrupt"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, own_folder, print_json, print_table, progress

__all__ = ["corrupt"]


def corrupt(
    set_: Annotated[
        str,
        typer.Argument(
            metavar="SET",
            help="A folder of class folders, a release, a table with a column path or file, or a revision.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where the sets go: DIR/SET.KIND.SEVERITY/CLASS/IMAGE.",
            show_default=False,
            callback=own_folder,
        ),
    ],
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="A kind, or a family: noise, blur, weather, digital. May be repeated.",
            show_default="all fifteen",
        ),
    ] = None,
    severity: Annotated[
        list[int] | None,
        typer.Option(min=1, max=5, help="A severity; may be repeated.", show_default="all five"),
    ] = None,
    size: Annotated[
        int,
        typer.Option(
            help="Cut the middle out, of this many pixels per side, as for ImageNet-C; 0 leaves pictures whole."
        ),
    ] = 224,
    format_: Annotated[
        str, typer.Option("--format", help="jpeg (as published) or png (without loss).")
    ] = "jpeg",
    quality: Annotated[int, typer.Option(min=1, max=100, help="The quality of the JPEGs.")] = 85,
    seed: Annotated[int, typer.Option(help="The seed of all draws.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes at once.", show_default="one per core")] = 0,
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Make harder copies of a set: the fifteen corruptions of ImageNet-C, five severities each.

    Example: newtest corrupt val --out val-c --kind blur --severity 3
    """
    from newtest.corruption import FAMILIES, KINDS, SEVERITIES, CorruptConfig, corrupt_set

    kinds = [one for name in kind or () for one in FAMILIES.get(name, {name: None})]
    config = CorruptConfig(
        tuple(dict.fromkeys(kinds)) or tuple(KINDS),
        tuple(sorted(set(severity or SEVERITIES))),
        size,
        seed,
        format_,  # type: ignore[arg-type]
        quality,
    )
    with progress() as bars:
        found = corrupt_set(set_, out, config, study=study, workers=workers, progress=bars)
    if json:
        print_json(found.to_json())
    else:
        print_table(
            ["set", "images"],
            [(folder.name, found.images - len(found.left_out)) for folder in found.folders],
            title=f"{len(found.folders)} sets in {out}: {found.written} files written, {found.kept} were there",
        )
    for name, reason in list(found.left_out.items())[:5]:
        note(f"left out: {name}: {reason}")
    if found.left_out:
        note(
            f"warning: {len(found.left_out)} of {found.images} images are in none of these sets ({out}/corrupt.json)"
        )
