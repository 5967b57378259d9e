"""newtest diagnose, and how a diagnosis is printed"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, own_file, print_json, print_table

if TYPE_CHECKING:
    from newtest.sampling.bias.diagnostics import Diagnostics

__all__ = ["diagnose", "print_diagnostics"]


def diagnose(
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="A revision.", show_default=False)],
    study: StudyDir = Path(),
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="What newtest evaluate REFERENCE wrote: gives the points of accuracy explained.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the plot: .svg or .png.",
            show_default="REVISION-frequencies.svg",
            callback=own_file,
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Test how well a revision matches the original in true selection frequency: means, held-out check, a plot.

    Example: newtest diagnose a-0 --study goldfish --plot a-0.png
    """
    from newtest.config import to_mapping
    from newtest.errors import UsageError
    from newtest.evaluation.analysis.mismatch import explain
    from newtest.evaluation.scoring.store import slug
    from newtest.outputs import write_made
    from newtest.sampling.bias.plot import draw_distributions
    from newtest.sampling.diagnosis import stored_diagnostics
    from newtest.study import Study

    out = plot or Path(f"{slug(revision)}-frequencies.svg")
    if out.suffix not in (".svg", ".png"):
        raise UsageError(f"--plot must be a file ending in .svg or .png, got {out.name!r}")
    with Study(study) as opened:
        found = stored_diagnostics(opened, revision)
        explained = None if results is None else explain(opened, revision, results)
    picture = draw_distributions(found, revision)
    write_made(out, picture.png if out.suffix == ".png" else picture.svg)
    if json:
        points = None if explained is None else explained.to_dict(orient="records")
        bent = [] if explained is None else explained.attrs["warnings"]
        print_json(
            {"revision": revision, **to_mapping(found), "explained": points, "bend": bent, "plot": str(out)}
        )
        return
    print_diagnostics(found)
    if explained is not None:
        print_table(
            ["model", "points of accuracy a point of frequency", "points explained", "low", "high"],
            explained.itertuples(index=False, name=None),
            title="What the mismatch explains of each model's gap",
        )
        for warning in explained.attrs["warnings"]:
            note(f"warning: {warning}")
    note(f"plot: {out}")


def print_diagnostics(found: Diagnostics) -> None:
    """The tables on stdout, the warnings on stderr."""
    rows = [(label, e.value, e.low, e.high) for label, e in (
        ("original", found.original), ("pool", found.pool), ("drawn", found.drawn),
        ("original less drawn", found.mismatch),
    )]  # fmt: skip
    print_table(
        ["mean true frequency", "estimate", "low", "high"],
        [(label, *(f"{value:.4f}" for value in values)) for label, *values in rows],
        title=f"{found.images} images of {found.classes} classes, 95 % intervals",
    )
    note(f"the votes themselves show {found.observed:.4f} of the drawn: what was chosen for is flattered")
    if check := found.held_out:
        note(
            f"held-out check, {check.splits} splits, matched on half the votes (median {check.votes:g}): original "
            f"{check.original:.4f}, drawn {check.drawn:.4f}, gap {100 * check.gap:+.2f} points of frequency, "
            f"standard error at most {100 * check.standard_error:.2f}"
            + (
                ""
                if check.surprise is None or check.surprise_error is None
                else f"; off what the seen half predicts by {100 * check.surprise:+.2f} "
                f"(standard error {100 * check.surprise_error:.2f})"
            )
        )
    if found.classes_off:
        note(f"{found.classes_off} of {found.classes} classes are off by more than 5 points of frequency")
    for told in found.assumptions.notes() if found.assumptions else ():
        note(f"assumed: {told}")
    for warning in found.warnings:
        note(f"warning: {warning}")
