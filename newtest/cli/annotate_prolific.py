"""newtest annotate prolific: create, places, pay"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, print_json

if TYPE_CHECKING:
    from newtest.crowd.prolific_api import ProlificClient

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Use Prolific's API (not verified). Example: newtest annotate prolific places 65f0",
)

ApiUrl = Annotated[
    str | None,
    typer.Option("--api-url", metavar="URL", help="Another address of the API.", show_default="Prolific's"),
]
StudyId = Annotated[str, typer.Argument(metavar="STUDY_ID", help="The study's id on Prolific.")]


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="The study's name.")],
    description: Annotated[str, typer.Option("--description", help="What people read before they come.")],
    url: Annotated[
        str, typer.Option("--url", metavar="HTTPS-URL", help="Where the crowd server is reached.")
    ],
    places: Annotated[int, typer.Option("--places", min=1, help="How many people.")],
    minutes: Annotated[int, typer.Option("--minutes", min=1, help="How long it should take.")],
    reward: Annotated[int, typer.Option("--cents", min=1, help="Reward per person, in cents.")],
    completion_code: Annotated[
        str, typer.Option("--completion-code", metavar="CODE", help="Code for people who are done.")
    ],
    code_no_consent: Annotated[
        str | None, typer.Option("--code-no-consent", help="Code for people who do not consent.")
    ] = None,
    code_failed: Annotated[
        str | None, typer.Option("--code-failed", help="Code for people who failed on known images.")
    ] = None,
    code_late: Annotated[
        str | None, typer.Option("--code-late", help="Code for people who came too late.")
    ] = None,
    api_url: ApiUrl = None,
    json: JsonFlag = False,
) -> None:
    """Create a draft on Prolific. You publish it there; nothing is spent here. PROLIFIC_TOKEN holds the token.

    Example: newtest annotate prolific create --name Fish --description "Look at photos" --url https://crowd.example.org --places 20 --minutes 10 --cents 150 --completion-code DONE1
    """  # noqa: E501
    from newtest.crowd.prolific_api import Draft

    draft = Draft(
        name,
        description,
        url,
        places,
        minutes,
        reward,
        completion_code,
        code_no_consent,
        code_failed,
        code_late,
    )
    study_id = _client(api_url).create(draft)
    if json:
        print_json({"study": study_id})
    else:
        typer.echo(study_id)
        note("a draft: publish it on Prolific's page, and serve with --recruit-study and this id")


@app.command()
def places(study_id: StudyId, api_url: ApiUrl = None, json: JsonFlag = False) -> None:
    """Show how many places of a study are taken.

    Example: newtest annotate prolific places 65f0
    """
    found = _client(api_url).places(study_id)
    if json:
        print_json(found.__dict__)
    else:
        typer.echo(f"{found.taken} of {found.total} places taken, {found.status}")


@app.command()
def pay(
    study_id: StudyId,
    proposals: Annotated[Path, typer.Argument(metavar="FILE", help="Proposals that you have read.")],
    reward: Annotated[str, typer.Option("--reward", metavar="DOLLARS", help="What a person is paid.")],
    max_cost: Annotated[
        str,
        typer.Option("--max-cost", metavar="DOLLARS", help="Refuse to pay more than this, fees not counted."),
    ],
    study: StudyDir = Path(),
    api_url: ApiUrl = None,
    json: JsonFlag = False,
) -> None:
    """Approve, reject and pay bonuses on Prolific, as the proposals say.

    Example: newtest annotate prolific pay 65f0 proposals.csv --reward 1.50 --max-cost 40 --study goldfish
    """
    from dataclasses import replace

    from newtest.cli.markets import dollars
    from newtest.crowd.bonuses import bonuses_due, pay_bonuses
    from newtest.crowd.costs import check_limit
    from newtest.crowd.pay import read_proposals
    from newtest.crowd.prolific import decisions
    from newtest.crowd.prolific_api import cost_of
    from newtest.errors import UsageError
    from newtest.study import Study

    each, limit = dollars("--reward", reward), dollars("--max-cost", max_cost)
    client = _client(api_url)
    with Study(study) as opened, opened.exclusive("prolific-pay"):
        found = decisions(opened, read_proposals(proposals))
        bonuses = bonuses_due(opened, found.bonus_of_submission)
        owed = {
            person: amount for person, amount in found.bonus.items() if found.submission_of[person] in bonuses
        }
        due = replace(client.due(study_id, found), bonus=owed)
        total = cost_of(due, each)
        note(
            f"{len(due.approve)} to approve, {len(due.reject)} to reject, {len(bonuses)} bonuses; TOTAL ${total}, "
            "Prolific's fees not counted"
        )
        check_limit(total, limit)
        if due.approve or due.reject or bonuses:
            typed = typer.prompt("Type the total to go on", default="", show_default=False, err=True).strip()
            if typed.lstrip("$") != str(total):
                raise UsageError(f"{typed!r} is not {total}: nothing was decided or paid")
        client.decide(due, reward=each, max_cost=limit)
        paid = pay_bonuses(opened, client, study_id, bonuses)
    before = sorted({*found.approve, *found.reject} - {*due.approve, *due.reject})
    if json:
        print_json(
            {
                "approved": len(due.approve),
                "rejected": len(due.reject),
                "decided_before": before,
                "bonuses": float(paid.total),
                "uncertain_batches": list(paid.uncertain),
            }
        )
        return
    note(f"{len(due.approve)} approved, {len(due.reject)} rejected, ${paid.total} of bonuses")
    if before:
        note(f"{len(before)} submissions were decided before and were left alone")
    for batch in paid.uncertain:
        note(
            f"nobody knows whether the bonus batch {batch} was paid: look at Prolific's page; it is not paid again"
        )


def _client(url: str | None) -> ProlificClient:
    from newtest.crowd.prolific_api import API_URL, ProlificClient

    return ProlificClient(os.environ.get("PROLIFIC_TOKEN", ""), url or API_URL)
