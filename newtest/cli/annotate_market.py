"""newtest annotate publish, collect, pay: the commands that talk to a market"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newtest.cli.markets import Market, annotator_of, confirm, dollars, nothing_to_publish
from newtest.cli.options import (
    JsonFlag,
    StudyDir,
    note,
    own_file,
    own_folder,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from pandas import DataFrame

    from newtest.study import Study

__all__ = ["collect", "pay", "publish"]

To = Annotated[str, typer.Option("--to", metavar="local|mturk", help="Our own server, or MTurk's protocol.")]
From = Annotated[
    str, typer.Option("--from", metavar="local|mturk", help="Our own server, or MTurk's protocol.")
]
EndpointUrl = Annotated[
    str | None, typer.Option("--endpoint-url", metavar="URL", help="A server that speaks MTurk's protocol.")
]
Sandbox = Annotated[bool, typer.Option("--sandbox", help="Use Amazon's sandbox.")]
Live = Annotated[bool, typer.Option("--live", help="Use Amazon's own market. It costs money.")]
Pictures = Annotated[
    str | None,
    typer.Option(
        "--picture-url",
        metavar="PREFIX",
        help="Where workers' browsers find the pictures.",
        show_default="the endpoint's /picture/",
    ),
]


def publish(
    study: StudyDir = Path(),
    to: To = "local",
    endpoint_url: EndpointUrl = None,
    sandbox: Sandbox = False,
    live: Live = False,
    max_cost: Annotated[
        str | None, typer.Option("--max-cost", metavar="DOLLARS", help="Refuse to publish what costs more.")
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(
            "--reward", metavar="DOLLARS", help="Check the reward per assignment.", show_default="the plan's"
        ),
    ] = None,
    template: Annotated[
        str, typer.Option("--template", metavar="NAME|FILE", help="What workers see.")
    ] = "select_images",
    language: Annotated[
        str,
        typer.Option(
            "--language",
            metavar="LANG",
            help="Language of the page; our own server has this option itself.",
        ),
    ] = "en",
    title: Annotated[
        str, typer.Option("--title", help="What the HITs are called.")
    ] = "Select all images that show a given thing",
    duration: Annotated[int, typer.Option("--duration", min=30, help="Seconds for one HIT.")] = 1800,
    lifetime: Annotated[
        int, typer.Option("--lifetime", min=30, help="Seconds that HITs stay open.")
    ] = 604800,
    max_hits: Annotated[
        int | None, typer.Option("--max-hits", min=1, help="Publish no more than this.")
    ] = None,
    picture_url: Pictures = None,
    json: JsonFlag = False,
) -> None:
    """Open the planned HITs to workers. Killed and started again, it never opens one twice.

    The reward is the plan's. --max-cost holds on every market; a paid one requires it, and the total typed in.

    Example: newtest annotate publish --to local --study goldfish
    """
    from newtest.catalog.asked import asked_of
    from newtest.catalog.publications import unfinished, unpublished
    from newtest.crowd.annotators import PublishConfig, rewards_of
    from newtest.crowd.annotators import publish as publish_hits
    from newtest.crowd.costs import check_limit, total_of
    from newtest.crowd.languages import language as spoken_language
    from newtest.crowd.local import planned_template
    from newtest.crowd.server.app import crowd_keys
    from newtest.crowd.server.worker_images import Pictures as PictureFiles
    from newtest.crowd.server.worker_images import prepare_pictures
    from newtest.errors import UsageError
    from newtest.study import Study

    amount = "" if reward is None else f"{dollars('--reward', reward):.2f}"
    limit = None if max_cost is None else dollars("--max-cost", max_cost)
    planned_template(template)
    path = template if not Path(template).is_file() else str(Path(template).resolve())
    config = PublishConfig(
        title=title,
        reward=amount,
        duration=duration,
        lifetime=lifetime,
        template=path,
        language=spoken_language(language).tag,
    )
    with Study(study) as opened:
        annotator = annotator_of(opened, Market(to, endpoint_url, sandbox, live, picture_url))
        hits = unpublished(opened.catalog, annotator.market)[:max_hits]
        begun = unfinished(opened.catalog, annotator.market)  # this run finishes what an earlier one began
        if not hits and not begun:
            raise UsageError(nothing_to_publish(opened.catalog, annotator.market))
        for hit_id, _ in hits:
            planned_template(path, asked_of(opened.catalog, hit_id))
        rewards = rewards_of(opened, config, [hit_id for hit_id, _ in hits])
        every = [*begun, *((assignments, rewards[hit_id]) for hit_id, assignments in hits)]
        total = total_of(every, annotator.market)
        check_limit(total, limit)
        if begun:
            note(f"{len(begun)} of the HITs were begun by an earlier run, which did not end")
        if to == "mturk" and not sandbox:
            confirm(len(every), total, max_cost)
        ids = [hit_id for hit_id, _ in hits]
        failed = prepare_pictures(opened, PictureFiles(opened.root, crowd_keys(opened)), ids)
        done = publish_hits(opened, annotator, config, ids, max_cost=total if limit is None else limit)
    for failure in failed:
        note(f"this image cannot be shown: {failure}")
    if json:
        print_json({"published": done, "market": annotator.market, "total": total, "failed": failed})
    else:
        note(f"{done} HITs opened on {annotator.market}, TOTAL ${total}, fees included")
    if failed:
        raise typer.Exit(1)


def collect(
    study: StudyDir = Path(),
    from_: From = "local",
    endpoint_url: EndpointUrl = None,
    sandbox: Sandbox = False,
    live: Live = False,
    json: JsonFlag = False,
) -> None:
    """Fetch what workers submitted and make votes of it. Running it again adds nothing twice.

    Example: newtest annotate collect --study goldfish
    """
    from newtest.crowd.annotators import collect as collect_hits
    from newtest.crowd.ledger import hourly_warning
    from newtest.study import Study

    with Study(study) as opened:
        annotator = annotator_of(opened, Market(from_, endpoint_url, sandbox, live, None))
        summary = collect_hits(opened, annotator)
        warning = hourly_warning(opened.catalog)
    if json:
        print_json(summary.__dict__)
    else:
        rows = [(summary.assignments, summary.votes, summary.empty, summary.closed)]
        print_table(["assignments", "votes", "with nothing ticked", "HITs that are over"], rows)
    if warning:
        note(f"warning: {warning}")
    for problem in summary.unread:
        note(f"not read: {problem}")
    if summary.unread:
        raise typer.Exit(1)


def pay(
    study: StudyDir = Path(),
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write the proposals, to be read and changed.", callback=own_file
        ),
    ] = None,
    act: Annotated[
        Path | None, typer.Option("--act-on", metavar="FILE", help="Carry out proposals that you have read.")
    ] = None,
    prolific: Annotated[
        Path | None,
        typer.Option(
            "--prolific",
            metavar="DIR",
            callback=own_folder,
            help="Write approve.csv, reject.csv and bonus.csv for Prolific (format not verified).",
        ),
    ] = None,
    from_: From = "local",
    endpoint_url: EndpointUrl = None,
    sandbox: Sandbox = False,
    live: Live = False,
    max_cost: Annotated[
        str | None, typer.Option("--max-cost", metavar="DOLLARS", help="Refuse to approve more than this.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Propose which work to approve and which to reject. Nothing is decided until you say --act-on.

    A column bonus of the proposals holds an amount per assignment; Prolific pays it, our own server does not.

    Example: newtest annotate pay --out proposals.csv, then: newtest annotate pay --act-on proposals.csv
    """
    import time

    from newtest.catalog.publications import control_votes
    from newtest.crowd.pay import LocalPayer, act_on, propose, read_proposals, to_be_paid
    from newtest.outputs import made_path
    from newtest.study import Study

    with Study(study) as opened:
        if act is not None:
            market = Market(from_, endpoint_url, sandbox, live, None)
            annotator: Any = annotator_of(opened, market)
            table = read_proposals(act)
            table = table[table["market"] == annotator.market]
            if from_ == "mturk" and not sandbox:
                confirm(*to_be_paid(opened, table), max_cost)
            payer = LocalPayer(opened.catalog, time.time()) if from_ == "local" else annotator
            limit = None if max_cost is None else dollars("--max-cost", max_cost)
            acted = act_on(opened, table, payer, max_cost=limit)
            if prolific is not None:
                _for_prolific(opened, table, prolific)
            if json:
                print_json({"decided": acted.done, "decided_otherwise_before": acted.otherwise})
            else:
                note(f"{acted.done} assignments decided on")
            for assignment_id in acted.otherwise:
                note(f"{assignment_id} had been decided otherwise before (in time by itself, or elsewhere)")
            return
        proposals = propose(opened, control_votes(opened.catalog))
        if prolific is not None:
            _for_prolific(opened, proposals, prolific)
    if out is not None:
        with made_path(out) as temporary:
            proposals.to_csv(temporary, index=False)
        note(
            f"{len(proposals)} proposals written to {out}; read them, then: newtest annotate pay --act-on {out}"
        )
    elif json:
        print_json(proposals.to_dict(orient="records"))
    else:
        print_table(list(proposals.columns), proposals.itertuples(index=False))


def _for_prolific(study: Study, table: DataFrame, folder: Path) -> None:
    from newtest.crowd.prolific import decisions, write_decisions

    found = decisions(study, table)
    write_decisions(found, folder)
    note(
        f"{folder}: {len(found.approve)} submissions to approve, {len(found.reject)} to reject, "
        f"{len(found.bonus)} bonuses; these formats were not verified against Prolific"
    )
    if found.unknown:
        note(f"{found.unknown} workers did not come from Prolific, or were forgotten: they are in no file")
