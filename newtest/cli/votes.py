"""newtest votes import, newtest votes simulate, newtest frequencies"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newtest.cli import votes_quality
from newtest.cli.options import JsonFlag, StudyDir, note, own_file, print_json, print_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["app", "frequencies"]

app = typer.Typer(
    no_args_is_help=True, help="Import votes, or simulate them. Example: newtest votes import votes.csv"
)


app.command("quality", short_help="Judge workers by controls, agreement and times.")(votes_quality.quality)
app.command("export", short_help="Write votes, or tasks for Label Studio.")(votes_quality.export)


@app.command("import", short_help="Import votes, or counts of votes.")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of votes or of counts.")],
    study: StudyDir = Path(),
    format_name: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="The files' format.", show_default="by the suffix"),
    ] = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out rows about images the study does not know.")
    ] = False,
    add_counts: Annotated[
        bool, typer.Option("--add-counts", help="Add counts of other people to the votes that are there.")
    ] = False,
    hits: Annotated[
        Path | None, typer.Option("--hits", metavar="FILE", help="JSON: which images each MTurk HIT showed.")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            "--control",
            metavar="NAME",
            help="Label Studio: the control that holds the answer.",
            show_default="shows",
        ),
    ] = None,
    yes: Annotated[
        list[str] | None,
        typer.Option(
            "--yes",
            metavar="CHOICE",
            help="Label Studio: what means yes; may be repeated.",
            show_default="yes",
        ),
    ] = None,
    no: Annotated[
        list[str] | None,
        typer.Option(
            "--no", metavar="CHOICE", help="Label Studio: what means no; may be repeated.", show_default="no"
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Import votes (image_id, wnid, worker_id, selected) or counts (image_id, wnid, num_selected, num_shown).

    CSV, Parquet and JSON lines; votes may also have hit_id, submitted_at and control. With --format also
    mturk-csv (batch results), mturk-json (GetAssignment, ListAssignmentsForHIT) and label-studio (JSON, JSON-MIN,
    CSV). A file is imported whole or not at all, and importing it again adds nothing. Answers that gave no vote are
    counted with the reason. Worker ids are stored as keyed hashes.

    Example: newtest votes import batch_1.csv batch_2.csv --study goldfish
    """
    from newtest.crowd.importers import FORMATS, External, read_external
    from newtest.crowd.label_studio import Question
    from newtest.study import Study
    from newtest.votes import ImportConfig, import_votes

    known = next((name for name in FORMATS if name == format_name), None)
    options = ImportConfig(
        format_name=None if known else format_name, skip_unknown=skip_unknown, add_counts=add_counts
    )
    external = External(hits, Question(control, tuple(yes or ("yes",)), tuple(no or ("no",))))
    with Study(study) as opened:
        reports = []
        for file in files:
            source = read_external(opened, file, known, external) if known else file
            reports.append((file, import_votes(opened, source, options)))
    for file, report in reports:
        for text in report.warnings:
            note(f"warning: {file}: {text}")
        if report.skipped:
            note(f"{file}: {report.skipped} rows left out: the study does not know their images")
        if report.left_out:
            why = "; ".join(f"{count} x {reason}" for reason, count in report.left_out.items())
            note(f"{file}: {sum(report.left_out.values())} answers gave no vote: {why}")
    if json:
        print_json([{"file": str(file), **report.__dict__} for file, report in reports])
        return
    columns = ["file", "form", "rows", "added", "known", "skipped", "no vote"]
    print_table(
        columns,
        [(str(f), r.form, r.rows, r.added, r.known, r.skipped, sum(r.left_out.values())) for f, r in reports],
    )


@app.command(short_help="Simulate votes where there are none.")
def simulate(
    study: StudyDir = Path(),
    seed: Annotated[int, typer.Option(help="The seed of the simulation.")] = 0,
    votes: Annotated[int, typer.Option("--votes", min=1, help="Votes per image.")] = 10,
    workers: Annotated[int, typer.Option(min=1, help="Simulated workers.")] = 50,
    difficulty: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV or Parquet: image_id, probability (of a perfect annotator's yes), [wnid].",
        ),
    ] = None,
    candidates: Annotated[str, typer.Option(metavar="A,B", help="Beta shapes of other candidates.")] = "2,2",
    reference: Annotated[str, typer.Option(metavar="A,B", help="Beta shapes of other originals.")] = "4,1.5",
    sensitivity: Annotated[
        str, typer.Option(metavar="LO,HI", help="Range of the workers' sensitivity.")
    ] = "0.9,1",
    specificity: Annotated[
        str, typer.Option(metavar="LO,HI", help="Range of the workers' specificity.")
    ] = "0.9,1",
    json: JsonFlag = False,
) -> None:
    """Simulate votes for every candidate and original that has none; all that comes of them is marked
    SIMULATED.

    Example: newtest votes simulate --votes 10 --seed 1 --study goldfish
    """
    from newtest.study import Study
    from newtest.votes import Simulation, simulate_votes
    from newtest.votes.simulate import read_difficulty

    simulation = Simulation(
        seed=seed,
        votes_per_image=votes,
        workers=workers,
        candidates=_pair("--candidates", candidates),
        reference=_pair("--reference", reference),
        sensitivity=_pair("--sensitivity", sensitivity),
        specificity=_pair("--specificity", specificity),
    )
    with Study(study) as opened:
        report = simulate_votes(
            opened, simulation, None if difficulty is None else read_difficulty(difficulty)
        )
    note("SIMULATED votes: no person gave them")
    if json:
        print_json(report.__dict__)
    else:
        print_table(
            ["pairs simulated", "votes added", "pairs with votes before"],
            [(report.simulated, report.votes, report.voted)],
        )


def frequencies(
    study: StudyDir = Path(),
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a .csv or .parquet file instead.", callback=own_file),
    ] = None,
    filtered: Annotated[
        bool, typer.Option("--filtered", help="Leave out the votes of excluded workers.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Compute selection frequencies with Clopper-Pearson 95 % intervals: image_id, wnid, num_selected, num_shown,
    frequency, lo, hi. Where workers are excluded, the counts without them stand beside: kept_selected,
    kept_shown, kept_frequency.

    Example: newtest frequencies --out frequencies.csv --study goldfish
    """
    from newtest.study import Study
    from newtest.votes import frequencies as of
    from newtest.votes.workers import side_by_side

    with Study(study) as opened:
        table = of(opened, filtered=True) if filtered else side_by_side(opened)
    if "simulated" in table.columns:
        simulated = int(table["simulated"].sum())
        note(f"SIMULATED votes: {simulated} of {len(table)} frequencies rest on them (column simulated)")
    if out is not None:
        _write(out, table)
        note(f"{len(table)} frequencies written to {out}")
    if json:
        print_json({"rows": len(table), "out": str(out)} if out else _records(table))
    elif out is None:
        print_table(list(table.columns), table.itertuples(index=False, name=None))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON, which has no NaN."""
    plain = table.astype(object)
    return [
        {str(k): v for k, v in row.items()}
        for row in plain.where(table.notna(), None).to_dict(orient="records")
    ]


def _write(out: Path, table: pd.DataFrame) -> None:
    from newtest.errors import UsageError
    from newtest.outputs import made_path

    if out.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{out}: frequencies are written as .csv or .parquet")
    with made_path(out) as temporary:
        if out.suffix == ".csv":
            table.to_csv(temporary, index=False)
        else:
            table.to_parquet(temporary, index=False)


def _pair(option: str, text: str) -> tuple[float, float]:
    from newtest.errors import UsageError

    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise UsageError(
            f"{option}: two numbers with a comma between are required, such as 2,2; got {text!r}"
        ) from None
    return low, high
