"""newtest sample, newtest diff"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, own_file, print_json, print_table

if TYPE_CHECKING:
    import pandas as pd

    from newtest.sampling import Draft, Sample, SamplingConfig

__all__ = ["diff", "sample"]

SHOWN_CLASSES = 100
"""So many classes are printed; ``--feasibility`` writes all of them."""

SIDE_BY_SIDE = 8
"""So many bins fit into a line."""

BELONGS_TO = {
    "per_class": "every --strategy but all",
    "threshold": "--strategy threshold",
    "class_thresholds": "--strategy threshold",
    "bins": "--strategy matched-frequency without --bias-correction",
    "fill_upward": "--strategy matched-frequency without --bias-correction",
    "min_reference_images": "--strategy matched-frequency",
}
"""The draw that reads an option, by the name of its setting."""


def sample(
    context: typer.Context,
    study: StudyDir = Path(),
    strategy: Annotated[
        str, typer.Option(help="matched-frequency, threshold, top-images, random, matched-keywords or all.")
    ] = "matched-frequency",
    per_class: Annotated[int, typer.Option(help="Images per class.")] = 10,
    seed: Annotated[int, typer.Option(help="The seed of the draw.")] = 0,
    name: Annotated[
        str | None,
        typer.Option(help="The revision's name.", show_default="strategy and a hash of the inputs"),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The original set.", show_default="the study's only one"),
    ] = None,
    parent: Annotated[
        str | None, typer.Option(metavar="REVISION", help="Keep this revision's members where possible.")
    ] = None,
    min_votes: Annotated[int, typer.Option(help="Votes that an image needs.")] = 10,
    bins: Annotated[
        str, typer.Option(metavar="E,E,...", help="Inner edges of the frequency histogram to match.")
    ] = "0.2,0.4,0.6,0.8",
    threshold: Annotated[float, typer.Option(help="Smallest frequency of --strategy threshold.")] = 0.7,
    class_threshold: Annotated[
        list[str] | None, typer.Option(metavar="WNID=F", help="A class's own --threshold; may be repeated.")
    ] = None,
    fill_upward: Annotated[
        bool, typer.Option("--fill-upward", help="Fill a bin of the histogram from the next higher ones.")
    ] = False,
    min_reference_votes: Annotated[
        int | None, typer.Option(help="Votes that an original needs.", show_default="as --min-votes")
    ] = None,
    min_reference_images: Annotated[int, typer.Option(help="Originals with votes that a class needs.")] = 20,
    bias_correction: Annotated[str, typer.Option(help="none (the published rule) or mixture.")] = "none",
    filtered: Annotated[
        bool, typer.Option("--filtered", help="Leave out the votes of excluded workers.")
    ] = False,
    without_bytes: Annotated[
        bool,
        typer.Option("--without-bytes", help="Draw images without bytes too: a set of ids, no release."),
    ] = False,
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="Draw what there is where a class cannot be filled.")
    ] = False,
    feasibility: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write what is feasible per class and bin to a CSV file.", callback=own_file
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Draw a test set from the candidates, by their votes and those of the original. The draw is stored as a
    revision.

    First it prints what is feasible: for each class and bin, how many images are needed and how many candidates are
    eligible. An option that the strategy does not read is refused.

    Example: newtest sample --strategy matched-frequency --per-class 10 --seed 0 --name a-0 --study goldfish
    """
    from newtest.config import from_mapping
    from newtest.sampling import Origin, SamplingConfig, sample_study
    from newtest.study import Study

    values = {
        "strategy": strategy,
        "per_class": per_class,
        "seed": seed,
        "min_votes": min_votes,
        "bins": _numbers(bins),
        "threshold": threshold,
        "class_thresholds": [_class_threshold(text) for text in class_threshold or []],
        "fill_upward": fill_upward,
        "min_reference_votes": min_reference_votes,
        "min_reference_images": min_reference_images,
        "bias_correction": bias_correction,
        "allow_incomplete": allow_incomplete,
    }
    config = _usage(lambda: from_mapping(SamplingConfig, values, where="newtest sample"))
    _refuse_unread(context, config)
    origin = Origin(reference=reference, parent=parent, filtered=filtered, without_bytes=without_bytes)
    with Study(study) as opened:
        drawn = sample_study(
            opened,
            config,
            name=name,
            origin=origin,
            before_draw=lambda draft: _feasible(draft, feasibility, json),
        )
        simulated, left_out = _facts(opened.catalog, drawn.name)
    if left_out:
        note(f"{left_out} classes of the reference were never collected for: they are left out")
    if simulated:
        note("SIMULATED votes: no person gave (all of) the votes this revision was drawn by")
    _report(drawn, json=json, simulated=simulated)


def diff(
    first: Annotated[str, typer.Argument(metavar="R1", help="A revision.")],
    second: Annotated[str, typer.Argument(metavar="R2", help="Another revision.")],
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Show what changed from one revision to another: images that left (and why) and came, classes to review
    again.

    Example: newtest diff a-0 a-1 --study goldfish
    """
    from newtest.sampling import diff_revisions
    from newtest.study import Study

    with Study(study) as opened:
        found = diff_revisions(opened, first, second)
    if json:
        rows = found.changes.to_dict(orient="records")
        print_json({"kept": found.kept, "changed_classes": found.changed_classes, "changes": rows})
        return
    print_table(list(found.changes.columns), found.changes.itertuples(index=False, name=None))
    counts = found.changes["change"].value_counts()
    note(
        f"{found.kept} kept, {counts.get('removed', 0)} removed, {counts.get('added', 0)} added; "
        f"{len(found.changed_classes)} classes to review again"
    )


def _feasible(draft: Draft, out: Path | None, json: bool) -> None:
    from newtest.outputs import made_path

    table = draft.plan.histogram
    if out is not None:
        with made_path(out) as temporary:
            table.to_csv(temporary, index=False)
    if json:
        return
    if draft.config.strategy == "matched-keywords" or table["bin"].nunique() > SIDE_BY_SIDE:
        _print_cells(draft)
    else:
        _print_bins(draft)
    total = len(draft.plan.eligible.wnids)
    note(f"{total - len(draft.problems)} of {total} classes can be filled")
    if total > SHOWN_CLASSES:
        note(
            f"the first {SHOWN_CLASSES} are shown, what cannot be filled first; --feasibility FILE writes all"
        )


def _print_cells(draft: Draft) -> None:
    """One line per class and cell that needs images: for keywords, and for more bins than fit side by side."""
    rows = [
        (wnid not in draft.problems, wnid, label, f"{target} of {there}")
        for wnid, label, there, target in _columns(draft.plan.histogram)
        if target
    ]
    rows.sort(key=lambda row: row[:2])
    columns = ["class", "keyword or bin", "needed of eligible"]
    print_table(columns, [row[1:] for row in rows[:SHOWN_CLASSES]], title="Feasible")


def _print_bins(draft: Draft) -> None:
    labels = list(dict.fromkeys(draft.plan.histogram["bin"]))
    cells: dict[str, dict[str, str]] = {}
    for wnid, label, there, target in _columns(draft.plan.histogram):
        cells.setdefault(wnid, {})[label] = f"{target} of {there}"
    # What cannot be filled comes first: it is what somebody has to act on.
    order = sorted(cells, key=lambda wnid: (wnid not in draft.problems, wnid))
    rows = [
        (wnid, *(cells[wnid].get(label, "") for label in labels), "no" if wnid in draft.problems else "yes")
        for wnid in order[:SHOWN_CLASSES]
    ]
    print_table(
        ["class", *labels, "feasible"], rows, title="Needed of eligible candidates, per class and bin"
    )


def _report(drawn: Sample, *, json: bool, simulated: bool) -> None:
    from newtest.cli.diagnose import print_diagnostics
    from newtest.config import to_mapping

    classes, reasons = drawn.members["wnid"].nunique(), drawn.exclusions["reason"].value_counts()
    totals = drawn.histogram.groupby("bin", sort=False)[["reference", "eligible", "target", "drawn"]].sum()
    if json:
        print_json(
            {
                "revision": drawn.name,
                "images": len(drawn.members),
                "classes": classes,
                "simulated": simulated,
                "problems": dict(drawn.problems),
                "excluded": {str(reason): int(count) for reason, count in reasons.items()},
                "diagnostics": drawn.diagnostics and to_mapping(drawn.diagnostics),
                "histogram": drawn.histogram.to_dict(orient="records"),
                "members": drawn.members.to_dict(orient="records"),
            }
        )
        return
    if len(totals) <= SHOWN_CLASSES:
        print_table(
            ["bin", *totals.columns], totals.itertuples(name=None), title="Drawn, all classes together"
        )
    for reason, count in reasons.items():
        hint = ": newtest fetch gets their bytes" if reason == "no_bytes" else ""
        note(f"excluded: {reason} {count}{hint}")
    for wnid, problem in drawn.problems.items():
        note(f"incomplete: {wnid}: {problem}")
    if drawn.diagnostics is not None:
        print_diagnostics(drawn.diagnostics)
    note(f"revision {drawn.name}: {len(drawn.members)} images of {classes} classes")


def _columns(table: pd.DataFrame) -> Any:
    return zip(*(table[column] for column in ("wnid", "bin", "eligible", "target")), strict=True)


def _facts(catalog: Any, name: str) -> tuple[bool, int]:
    """Whether simulated votes had a part in a revision, and how many classes of the reference it leaves out."""

    from newtest.catalog.kept import believed
    from newtest.catalog.revisions import find

    revision = find(catalog, name)
    assert revision is not None
    with believed(f"the summary of revision {name!r}"):
        return revision.simulated, int(revision.summary_values()["classes_left_out"])


def _numbers(text: str) -> list[float]:
    from newtest.errors import UsageError

    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UsageError(
            f"--bins: numbers with commas between are required, such as 0.2,0.4; got {text!r}"
        ) from None


def _class_threshold(text: str) -> tuple[str, float]:
    from newtest.errors import UsageError

    wnid, _, value = text.partition("=")
    try:
        return wnid, float(value)
    except ValueError:
        raise UsageError(
            f"--class-threshold: WNID=NUMBER is required, such as n01443537=0.5; got {text!r}"
        ) from None


def _refuse_unread(context: typer.Context, config: SamplingConfig) -> None:
    """Raise UsageError for an option that this draw would not read: whoever gave it would believe that it had."""
    from newtest.errors import UsageError

    for setting in config.unread:
        name = setting.removesuffix("s") if setting == "class_thresholds" else setting
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            corrected = (
                "" if config.bias_correction == "none" else f" --bias-correction {config.bias_correction}"
            )
            raise UsageError(
                f"--{name.replace('_', '-')} has no effect with --strategy {config.strategy}{corrected}; "
                f"leave it out: it belongs to {BELONGS_TO[setting]}"
            )


def _usage(make: Callable[[], SamplingConfig]) -> SamplingConfig:
    """A configuration that contradicts itself is a wrong call: exit code 2."""
    from newtest.errors import ConfigError, SamplingError, UsageError

    try:
        return make()
    except (ConfigError, SamplingError) as error:
        raise UsageError(str(error)) from error
