"""newtest dedup"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, print_json, print_table, progress

__all__ = ["dedup"]


def dedup(
    study: StudyDir = Path(),
    radius: Annotated[
        int, typer.Option(help="Keep pairs whose hashes differ in at most this many of 144 bits.")
    ] = 22,
    auto_radius: Annotated[
        int | None,
        typer.Option(
            help="Call pairs up to this distance duplicates without a person (0 to 16).", show_default="never"
        ),
    ] = None,
    turns: Annotated[
        bool, typer.Option("--turns", help="Find pictures turned by 90 or 180 degrees too.")
    ] = False,
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
            "--dssim-class", metavar="WNID", help="Measure DSSIM of all pairs of this class; may be repeated."
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            metavar="ENCODER",
            help="Find pairs by an encoder's descriptors too: conse (EfficientNet-Lite0), MODEL/TAG of open_clip.",
        ),
    ] = None,
    features_distance: Annotated[
        float, typer.Option(help="Keep pairs up to this 1 - cosine of descriptors.", min=0, max=1)
    ] = 0.1,
    json: JsonFlag = False,
) -> None:
    """Find near-duplicates in the pool and against every reference set.

    Identical bytes are judged duplicates at once; other close pairs wait for a person (newtest review) unless
    --auto-radius says how close is close enough. Run it again after new downloads: only what is new is compared.

    Example: newtest dedup --study goldfish --auto-radius 6
    """
    from newtest.duplicates import ScanConfig, flags, judge_automatically, measure_dssim, measure_l2, scan
    from newtest.study import Study

    config = ScanConfig(radius=radius, turns=turns)
    with Study(study) as opened:
        with progress() as bar:
            task = bar.add_task("hash", total=None)
            report = scan(opened, config, advance=lambda count: bar.advance(task, count))
            if l2:
                report.new_pairs["l2-256"] = sum(measure_l2(opened).values())
            if features is not None:
                from newtest.clip.encoder import encoder
                from newtest.duplicates.features import feature_metric, measure_features

                model = encoder(features)
                found = measure_features(opened, model, limit=features_distance)
                report.new_pairs[feature_metric(model)] = sum(found.values())
            measured = measure_dssim(opened, classes=dssim_class or ()) if dssim or dssim_class else None
        verdicts = judge_automatically(opened, radius=auto_radius)
        table = flags(opened)
    summary = {
        "hashed": report.hashed,
        "flat": report.flat,
        "broken": len(report.broken),
        "compared": report.compared,
        "new_pairs": report.new_pairs,
        "dssim": measured,
        "verdicts": verdicts,
        "candidates": len(table),
        "near_duplicate": int(table["near_duplicate"].sum()),
        "unreviewed": int(table["unreviewed"].sum()),
    }
    if json:
        print_json({**summary, "errors": report.broken})
    else:
        print_table(["", "images"], [(f"compared with {scope}", n) for scope, n in report.compared.items()])
        print_table(["metric", "new close pairs"], list(report.new_pairs.items()))
        print_table(["rule", "new verdicts"], list(verdicts.items()))
        note(
            f"{summary['near_duplicate']} of {len(table)} candidates are left out as near-duplicates, "
            f"{summary['unreviewed']} wait for a person (newtest review); {report.flat} flat pictures have no hash. "
            f"Exact: every pair of equal bytes, every pair within {radius} bits"
            + (", every pair within 1.2e8 by squared L2" if l2 else "")
            + (f", every pair within {features_distance:g} by these features." if features else ".")
        )
        if measured is not None:
            note(
                f"DSSIM was measured on {measured['measured']} pairs, {measured['close']} of them below 0.2205. "
                "Not exact: only pairs that another metric proposed, and pairs of the classes that you named."
            )
        for sha256, reason in report.broken.items():
            note(f"{sha256}: {reason}")
    if report.broken:
        raise typer.Exit(1)
