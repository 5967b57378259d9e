"""newtest dedup"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newtest.cli.encoder_options import Like, encoder_of
from newtest.cli.options import JsonFlag, StudyDir, note, print_json, print_table, progress

if TYPE_CHECKING:
    import pandas as pd

    from newtest.catalog.pair_searches import PairSearch
    from newtest.duplicates import DedupReport

__all__ = ["dedup"]


def dedup(
    study: StudyDir = Path(),
    radius: Annotated[
        int | None,
        typer.Option(
            help="Keep pairs whose hashes differ in at most this many of 144 bits.",
            show_default="as before in this study, first 28",
        ),
    ] = None,
    auto_radius: Annotated[
        int | None,
        typer.Option(
            help="Call pairs up to this distance duplicates without a person (0 to 16).", show_default="never"
        ),
    ] = None,
    turns: Annotated[
        bool | None,
        typer.Option(
            "--turns/--no-turns",
            help="Find pictures turned by 90 or 180 degrees too.",
            show_default="as before, first no",
        ),
    ] = None,
    l2: Annotated[
        bool,
        typer.Option(
            "--l2", help="Find pairs within 1.2e8 by squared L2 of 256 x 256 pixels too; slow, exact."
        ),
    ] = False,
    dssim: Annotated[
        bool,
        typer.Option("--dssim", help="Measure DSSIM (window 35) of the pairs that another metric proposed."),
    ] = False,
    dssim_class: Annotated[
        list[str] | None,
        typer.Option(
            "--dssim-class",
            metavar="WNID",
            help="Measure DSSIM of all pairs of this class, this once; may be repeated.",
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            metavar="MODEL",
            help="Find pairs by a network's features too: efficientnet-lite0 (needs no network), timm:NAME, "
            "open_clip:ARCH/TAG; @FILE behind a model for weights on this machine.",
        ),
    ] = None,
    like: Like = None,
    features_distance: Annotated[
        float | None,
        typer.Option(
            help="Keep pairs up to this 1 - cosine of features.",
            min=0,
            max=1,
            show_default="as before, first 0.1",
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            metavar="NAME",
            help="Stop using a metric of earlier runs: l2, dssim or a model; may be repeated.",
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Find near-duplicates in the pool and against every reference set.

    Identical bytes are judged duplicates at once; other close pairs wait for a person (newtest review) unless
    --auto-radius says how close is close enough. Run it again after new downloads: only new images are compared. All
    metrics of earlier runs are used again: sample draws only images that every metric has seen.

    Example: newtest dedup --study goldfish --auto-radius 6 --features efficientnet-lite0
    """
    from newtest.duplicates import DedupRequest, flags, judge_automatically
    from newtest.duplicates import dedup as run
    from newtest.study import Study

    if features_distance is not None and features is None:
        raise typer.BadParameter("it goes with --features MODEL", param_hint="--features-distance")
    if like is not None and features is None:
        raise typer.BadParameter("it goes with --features MODEL@CHECKPOINT", param_hint="--like")
    request = DedupRequest(
        radius=radius,
        turns=turns,
        l2=l2,
        dssim=dssim,
        dssim_classes=tuple(dssim_class or ()),
        features=encoder_of(features, like) if like else features,
        features_distance=features_distance,
        without=tuple(without or ()),
    )
    with Study(study) as opened:
        with progress() as bars:
            report = run(opened, request, progress=bars)
        verdicts = judge_automatically(opened, radius=auto_radius)
        table = flags(opened)
    summary = _summary(report, verdicts, table)
    if json:
        print_json({**summary, "errors": report.scan.broken})
    else:
        _print(report, summary)
    if report.scan.broken:
        raise typer.Exit(1)


_INEXACT = ("bytes", "dssim")  # of which the first has a line of its own


def _limit(search: PairSearch) -> str:
    if search.name == "hash":
        turned = ", turned or not" if search.settings["turns"] else ""
        return f"{search.settings['radius']} bits by hash{turned}"
    return f"{search.settings['limit']:g} by {search.name}".replace("e+0", "e")


def _summary(report: DedupReport, verdicts: dict[str, int], table: pd.DataFrame) -> dict[str, Any]:
    scanned = report.scan
    return {
        "hashed": scanned.hashed,
        "flat": scanned.flat,
        "broken": len(scanned.broken),
        "compared": scanned.compared,
        "looked_by": {search.name: dict(search.settings) for search in report.looked_by},
        "new_pairs": report.new_pairs,
        "dssim": report.dssim,
        "verdicts": verdicts,
        "candidates": len(table),
        "near_duplicate": int(table["near_duplicate"].sum()),
        "unreviewed": int(table["unreviewed"].sum()),
    }


def _print(report: DedupReport, summary: dict[str, Any]) -> None:
    compared = [(f"compared with {scope}", n) for scope, n in summary["compared"].items()]
    print_table(["", "images"], compared)
    print_table(["metric", "new close pairs"], list(report.new_pairs.items()))
    print_table(["rule", "new verdicts"], list(summary["verdicts"].items()))
    note(
        f"{summary['near_duplicate']} of {summary['candidates']} candidates are left out as near-duplicates, "
        f"{summary['unreviewed']} wait for a person (newtest review); {summary['flat']} flat pictures have no hash."
    )
    note(
        "Exact: every pair of equal bytes"
        + "".join(f", every pair within {_limit(s)}" for s in report.looked_by if s.name not in _INEXACT)
        + ". Later runs go on with all of it; --without NAME leaves one out."
    )
    if report.dssim is not None:
        note(
            f"DSSIM was measured on {report.dssim['measured']} pairs, {report.dssim['close']} of them below "
            "0.2205. Not exact: only pairs that another metric proposed, and pairs of the classes that you named."
        )
    for sha256, reason in report.scan.broken.items():
        note(f"{sha256}: {reason}")
