"""newtest check"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, print_json, print_table, progress

if TYPE_CHECKING:
    from newtest.releasing.check import Finding
    from newtest.releasing.sets import SetToCheck

__all__ = ["check"]

SHOWN = 5


def check(
    target: Annotated[
        str,
        typer.Argument(
            metavar="PATH|REVISION",
            help="A release, an ImageFolder, a table, ImageNetV2's JSON, labels (.npy), or a revision.",
        ),
    ],
    near_duplicates: Annotated[
        Path | None,
        typer.Option(
            "--near-duplicates", metavar="F", help="Known pairs: JSON id -> ids, or CSV image_a, image_b."
        ),
    ] = None,
    blocked: Annotated[
        Path | None, typer.Option("--blocked", metavar="F", help="Blocked ids: JSON, CSV, or one per line.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="F", help="The original set: an ImageFolder, a table, a JSON."),
    ] = None,
    min_votes: Annotated[
        int | None,
        typer.Option(
            "--min-votes",
            min=0,
            help="Votes that a member needs.",
            show_default="as the set was drawn, else 10",
        ),
    ] = None,
    copies: Annotated[
        bool, typer.Option(help="Look for copies among the pixels, where images are at hand.")
    ] = True,
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Look for defects: balance, ids twice, blocked, near-duplicates, bytes, folder and class names, licences, votes.

    Example: newtest check imagenetv2-b-33.json --near-duplicates near_duplicates.json --reference val.json
    """
    from newtest.releasing.check import check_set
    from newtest.releasing.copies import check_copies
    from newtest.releasing.evidence import Evidence, read_blocked, read_near_duplicates, read_reference
    from newtest.releasing.targets import set_to_check

    found, known = set_to_check(target, study)
    evidence = Evidence(
        blocked={**known.blocked, **(read_blocked(blocked) if blocked else {})},
        pairs=known.pairs | (read_near_duplicates(near_duplicates) if near_duplicates else frozenset()),
        reference={**known.reference, **(read_reference(reference) if reference else {})},
    )
    findings = check_set(found, evidence, min_votes=min_votes)
    if copies and (found.archives or any(member.file for member in found.members)):
        with progress() as bars:
            findings += check_copies(found, evidence, progress=bars)
    if found.note:
        note(found.note)
    errors = sum(finding.severity == "error" for finding in findings)
    if json:
        classes = len({member.wnid for member in found.members})
        head = {"name": found.name, "kind": found.kind, "images": len(found.members), "classes": classes}
        if found.census is not None:
            head["files"] = found.census.as_json()
        print_json({**head, "errors": errors, "findings": [finding.__dict__ for finding in findings]})
    else:
        _print(found, findings, errors)
    if errors:
        raise typer.Exit(1)


def _print(found: SetToCheck, findings: list[Finding], errors: int) -> None:
    rows = []
    for finding in findings:
        more = f", and {len(finding.items) - SHOWN} more" if len(finding.items) > SHOWN else ""
        rows.append(
            (finding.severity, finding.check, finding.message, ", ".join(finding.items[:SHOWN]) + more)
        )
    if rows:
        print_table(["", "check", "finding", "which"], rows)
    classes = len({member.wnid for member in found.members})
    if found.census is not None:
        note(f"{found.name}: {found.census.says()}")
    note(
        f"{found.name} ({found.kind}): {len(found.members)} images, {classes} classes, {errors} kinds of defects"
    )
