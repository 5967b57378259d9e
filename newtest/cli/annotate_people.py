"""newtest annotate people, newtest annotate forget"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, print_json, print_table

__all__ = ["forget", "people"]


def people(study: StudyDir = Path(), json: JsonFlag = False) -> None:
    """List who came from the recruiting site: their id there, their submission, and their worker key here.

    The ids lie sealed in people.sqlite, apart from the votes; study.key opens them.

    Example: newtest annotate people --study goldfish
    """
    from newtest.crowd.people import people as known
    from newtest.study import Study

    with Study(study) as opened:
        found = known(opened)
    if json:
        print_json([one.__dict__ for one in found])
    else:
        rows = [(one.person, one.submission, one.study, one.worker, one.arrived_at) for one in found]
        print_table(["person", "submission", "study", "worker", "arrived"], rows)


def forget(
    person: Annotated[
        str, typer.Argument(metavar="PERSON", help="The site's id, an invited name, or a worker key.")
    ],
    study: StudyDir = Path(),
    votes: Annotated[
        bool, typer.Option("--votes", help="Delete the person's votes and answers too.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Delete who a person is. Their votes stay under a key that leads nowhere, unless you say --votes.

    Example: newtest annotate forget 5f0011aabbccddeeff001122 --study goldfish
    """
    from newtest.crowd.people import forget as forget_person
    from newtest.study import Study

    with Study(study) as opened:
        found = forget_person(opened, person, votes=votes)
    if json:
        print_json(found.__dict__)
    else:
        note(f"forgotten: {found.submissions} submissions, {found.links} links, {found.votes} votes deleted")
