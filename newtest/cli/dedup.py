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
    json: JsonFlag = False,
) -> None:
    """Find near-duplicates in the pool and against every reference set.

    Identical bytes are judged duplicates at once; other close pairs wait for a person (newtest review) unless
    --auto-radius says how close is close enough. Run it again after new downloads: only what is new is compared.

    Example: newtest dedup --study goldfish --auto-radius 6
    """
    from newtest.duplicates import ScanConfig, flags, judge_automatically, scan
    from newtest.study import Study

    config = ScanConfig(radius=radius, turns=turns)
    with Study(study) as opened:
        with progress() as bar:
            task = bar.add_task("hash", total=None)
            report = scan(opened, config, advance=lambda count: bar.advance(task, count))
        verdicts = judge_automatically(opened, radius=auto_radius)
        table = flags(opened)
    summary = {
        "hashed": report.hashed,
        "flat": report.flat,
        "broken": len(report.broken),
        "compared": report.compared,
        "new_pairs": report.new_pairs,
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
            f"Exact: every pair of equal bytes, every pair within {radius} bits."
        )
        for sha256, reason in report.broken.items():
            note(f"{sha256}: {reason}")
    if report.broken:
        raise typer.Exit(1)
