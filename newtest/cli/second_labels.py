"""Options of ``newtest annotate plan`` for second labels: what proposes, and how much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.options import note

if TYPE_CHECKING:
    from newtest.study import Study

__all__ = ["Classes", "Near", "Predictions", "Proposals", "SecondLabels", "Top", "propose"]

SecondLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--second-labels",
        metavar="SET",
        help="Also ask which other classes the images of this revision or reference show; may be repeated.",
    ),
]
Predictions = Annotated[
    list[Path] | None,
    typer.Option(
        "--predictions",
        metavar="FILE",
        help="Propose what models answer, with --second-labels; may be repeated.",
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        "--classes",
        metavar="FILE",
        help="The models' classes in the order of their outputs, with --predictions.",
    ),
]
Near = Annotated[
    int,
    typer.Option(
        "--near", min=0, help="Propose this many nearest classes (see --similar), with --second-labels."
    ),
]
Proposals = Annotated[
    Path | None,
    typer.Option(
        "--proposals",
        metavar="FILE",
        help="Propose the classes of a table of ids and classes, or of image -> classes in JSON.",
    ),
]
Top = Annotated[
    tuple[int, int, int],
    typer.Option(
        "--proposals-of",
        metavar="TOP LEAST MOST",
        help="Take the TOP best answers of each model that LEAST models name, at most MOST per image.",
    ),
]


def propose(
    study: Study,
    sets: list[str],
    sources: tuple[list[Path] | None, Path | None, int, Path | None, Path | None],
    numbers: tuple[int, int, int],
    *,
    dry_run: bool,
) -> None:
    """Keep the proposals in the study, and say how many there are. ``sources``: predictions, classes, near, similar,
    and the table, as the options give them. Raises UsageError for options that contradict each other.
    """
    from newtest.api.second_labels import ProposalSources, propose_second_labels
    from newtest.errors import UsageError
    from newtest.evaluation.scoring.proposals import ProposalConfig

    predictions, classes, near, similar, table = sources
    if not sets:
        if predictions or near or table:
            raise UsageError(
                "--predictions, --near and --proposals propose second labels; name --second-labels SET"
            )
        return
    if dry_run:
        raise UsageError("--dry-run keeps nothing, and --second-labels keeps proposals; give one of them")
    chosen = ProposalSources(tuple(predictions or ()), classes, near, similar, table)
    stored, said = propose_second_labels(study, sets, chosen, ProposalConfig(*numbers))
    for sentence in said:
        note(f"warning: {sentence}")
    note(f"second labels: {stored.proposed:,} pairs of image and class proposed, {stored.new:,} of them new")
    if near and not stored.proposed:
        note("warning: no near class was found, in WordNet or in the file of --similar; name them there")
    if stored.unknown_classes:
        note(
            f"warning: {stored.unknown_classes:,} are of classes that this study does not have, first "
            f"{stored.first_unknown}: nobody can be asked about them (newtest classes)"
        )
