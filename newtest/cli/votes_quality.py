"""newtest votes quality, newtest votes export"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, choice, note, own_file, print_json, print_table

__all__ = ["export", "quality"]

SHOWN = ("worker", "votes", "controls", "sensitivity", "specificity", "ds_sensitivity", "ds_specificity")
COUNTS = ("assignments", "hasty", "all_ticked", "none_ticked", "flagged")


def quality(
    study: StudyDir = Path(),
    floor: Annotated[
        float, typer.Option("--floor", min=0, max=1, help="Flag who is clearly below this quality.")
    ] = 0.75,
    certainty: Annotated[
        float, typer.Option("--certainty", min=0.5, max=1, help="How clear the posterior must be.")
    ] = 0.95,
    min_controls: Annotated[
        int, typer.Option("--min-controls", min=1, help="Flag nobody with fewer controls.")
    ] = 10,
    exclude: Annotated[
        bool,
        typer.Option("--exclude-flagged", help="Leave the flagged out of filtered counts. Their votes stay."),
    ] = False,
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="WORKER", help="Take a worker back in.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the whole table as CSV.", callback=own_file),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Judge each worker by controls, agreement and times; the most doubtful first.

    Quality is the mean of sensitivity and specificity on controls, whose posteriors are Beta.

    Example: newtest votes quality --study goldfish --exclude-flagged
    """
    from newtest.catalog import quality as rows
    from newtest.errors import VotesError
    from newtest.outputs import made_path
    from newtest.study import Study
    from newtest.votes.quality import QualityRule
    from newtest.votes.workers import agreement_of, exclude_flagged, worker_table

    with Study(study) as opened:
        for worker in include or ():
            if not rows.include(opened.catalog, worker):
                raise VotesError(f"{worker}: no such worker is excluded; newtest votes quality lists them")
        unseen = rows.votes_never_in_view(opened.catalog)
        table = worker_table(opened, QualityRule(floor, certainty, min_controls))
        excluded = exclude_flagged(opened, table) if exclude and len(table) else 0
        try:
            alpha: float | None = agreement_of(opened) if len(table) else None
        except VotesError:
            alpha = None
        if alpha is not None and math.isnan(alpha):
            alpha = None
    if out is not None:
        with made_path(out) as temporary:
            table.to_csv(temporary, index=False)
        note(f"{len(table)} workers written to {out}")
    if json:
        print_json(
            {
                "alpha": alpha,
                "excluded_now": excluded,
                "votes_never_in_view": unseen,
                "workers": table.to_dict(orient="records"),
            }
        )
        return
    if out is None and len(table):
        print_table([*SHOWN, *COUNTS], table[[*SHOWN, *COUNTS]].itertuples(index=False))
    note(
        "no two votes on any image, or all votes alike: no agreement to measure"
        if alpha is None
        else f"Krippendorff's alpha {alpha:.3f}"
    )
    if unseen:
        note(f"{unseen} votes are about images that were never in view (0 ms): they were given blind")
    note(
        f"{excluded} workers are left out now"
        if exclude
        else "nobody was left out; --exclude-flagged does that"
    )


def export(
    out: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A .csv, .parquet or .json file to write.", callback=own_file),
    ],
    study: StudyDir = Path(),
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="table|label-studio", help="What to write.", show_default="by the suffix"
        ),
    ] = None,
    pictures: Annotated[
        str,
        typer.Option(
            "--picture-prefix",
            metavar="URL",
            help="Label Studio: where the study's folder is served to browsers.",
        ),
    ] = "/data/local-files/?d=",
    json: JsonFlag = False,
) -> None:
    """Write single votes as a table that other tools read, or pairs to be voted on as Label Studio tasks.

    Worker ids are keyed hashes. A .csv or .parquet is the votes table that newtest votes import reads. A task's picture
    is a JPEG in the study's thumbnails/; images whose bytes are not here are in no task, and counted.

    Example: newtest votes export votes.csv --study goldfish
    """
    from newtest.catalog import quality as rows
    from newtest.config import canonical_json
    from newtest.crowd.label_studio_tasks import label_studio_tasks
    from newtest.errors import UsageError
    from newtest.outputs import made_path, write_made
    from newtest.study import Study

    kind = choice(
        "--format",
        format_name or ("label-studio" if out.suffix == ".json" else "table"),
        ("table", "label-studio"),
    )
    left_out: Mapping[str, str] = {}
    with Study(study) as opened:
        if kind == "label-studio":
            made = label_studio_tasks(opened, pictures)
            write_made(out, canonical_json(made.tasks))
            written, left_out = len(made.tasks), made.left_out
        else:
            table = rows.vote_table(opened.catalog)
            written = len(table)
            if out.suffix not in (".csv", ".parquet"):
                raise UsageError(f"{out}: a votes table is written as .csv or .parquet")
            with made_path(out) as temporary:
                write = table.to_csv if out.suffix == ".csv" else table.to_parquet
                write(temporary, index=False)
    if json:
        print_json({"rows": written, "out": str(out), "left_out": dict(left_out)})
    else:
        note(f"{written} rows written to {out}")
        if left_out:
            image_id, reason = next(iter(left_out.items()))
            note(f"{len(left_out)} images are in no task, such as {image_id}: {reason}")
