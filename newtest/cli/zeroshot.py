"""newtest zeroshot"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.encoder_options import Device, EncoderName, Like, Precision
from newtest.cli.options import (
    JsonFlag,
    StudyDir,
    note,
    own_file,
    own_folder,
    print_json,
    print_table,
    progress,
)

if TYPE_CHECKING:
    from newtest.evaluation.scoring.zeroshot import ZeroShotConfig
    from newtest.progress import Progress

__all__ = ["zeroshot"]

_SET = "A release, a folder of class folders, a table with files, or a revision or reference of the study."
_NAMES = (
    "One class per line in their order, lines with ids in front, a CSV of wnid and name, or class_info.json."
)
_TEXTS = "(classes, templates, D) or (classes, D), .npy or .npz, in place of --model."


def zeroshot(
    which: Annotated[str, typer.Argument(metavar="SET", help=_SET, show_default=False)],
    model: EncoderName = "conse",
    like: Like = None,
    templates: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="One template per line, {} for the name.", show_default="our 80"),
    ] = None,
    classnames: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=_NAMES, show_default="WordNet's first lemma, else the id"),
    ] = None,
    image_embeddings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="(images, D), .npy or .npz, in the order of the set."),
    ] = None,
    text_embeddings: Annotated[Path | None, typer.Option(metavar="FILE", help=_TEXTS)] = None,
    find: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="List the best images for a text instead; may be repeated."),
    ] = None,
    best: Annotated[int, typer.Option(min=1, help="Images per text, with --find.")] = 10,
    name: Annotated[
        str | None, typer.Option(help="The set's name in the results.", show_default="its file's")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--as", help="The model's name in the results.", show_default="MODEL zero-shot"),
    ] = None,
    group: Annotated[
        str, typer.Option(help="The model's group in the results, for report line.")
    ] = "zero-shot",
    save_embeddings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep the images' embeddings (.npz) for newtest probe.", callback=own_file
        ),
    ] = None,
    device: Device = None,
    precision: Precision = "float32",
    study: StudyDir = Path(),
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where results are kept.",
            show_default="results/ of the study",
            callback=own_folder,
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Classify a set by its class names alone, and keep the result beside other models'. Embeddings are cached.

    Example: newtest zeroshot releases/matched-0 --model conse --out results
    """
    from newtest.errors import UsageError
    from newtest.evaluation.scoring.zeroshot import ZeroShotConfig

    if find and text_embeddings is not None:
        raise UsageError("--find embeds its texts itself, with --model: leave --text-embeddings away")
    options = ZeroShotConfig(
        model=model,
        like=like,
        image_embeddings=image_embeddings,
        text_embeddings=text_embeddings,
        templates=templates,
        names=classnames,
        set_name=name,
        label=label,
        group=group,
        device=device,
        precision=precision,
        study=study,
        out=out,
        save=save_embeddings,
    )
    with progress() as bars:
        if find:
            _find(which, find, options, bars, best=best, json=json)
        else:
            _classify(which, options, bars, json=json)


def _classify(which: str, options: ZeroShotConfig, bars: Progress, *, json: bool) -> None:
    from dataclasses import asdict

    from newtest.evaluation.scoring.zeroshot import zero_shot

    outcome = zero_shot(which, options, bars)
    for finding in outcome.findings:
        note(f"lint: {finding.kind}: {finding.message}")
    for caution in outcome.cautions:
        note(f"{'failed' if caution.fatal else 'warning'}: {caution}")
    rows = [score.to_json() for score in outcome.scores]
    if json:
        print_json(
            {
                "folder": outcome.folder,
                "results": rows,
                "names": outcome.names,
                "lint": [asdict(finding) for finding in outcome.findings],
                "warnings": [caution.to_json() for caution in outcome.cautions],
            }
        )
    else:
        print_table(
            ["model", "set", "n", "top-1, %", "top-5, %"],
            [(r["model"], r["set"], r["n"], f"{r['accuracy']:.2f}", _top5(r)) for r in rows],
        )
        if outcome.folder:
            note(f"kept in {outcome.folder}; class names from {outcome.names}")
    if any(caution.fatal for caution in outcome.cautions):
        raise typer.Exit(1)


def _find(
    which: str, texts: list[str], options: ZeroShotConfig, bars: Progress, *, best: int, json: bool
) -> None:
    from dataclasses import asdict

    from newtest.evaluation.scoring.zeroshot import find_images

    found = find_images(which, texts, options, bars, best=best)
    if json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        ["text", "rank", "cosine", "class", "image"],
        [(f.text, f.rank, f"{f.cosine:.4f}", f.wnid, f.path or f.image_id) for f in found],
    )


def _top5(row: dict[str, object]) -> str:
    count, images = row["top5_k"], row["n"]
    return f"{100 * count / images:.2f}" if isinstance(count, int) and isinstance(images, int) else ""
