"""newtest review"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, print_json

__all__ = ["review"]


def review(
    study: StudyDir = Path(),
    reviewers: Annotated[
        list[str] | None,
        typer.Option(
            "--reviewer", metavar="NAME", help="Who reviews; may be repeated.", show_default="reviewer"
        ),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision", metavar="NAME", help="Final review: this revision's members, a class at a time."
        ),
    ] = None,
    agreement: Annotated[
        Path | None,
        typer.Option(
            "--agreement", metavar="FILE", help="CSV of image_id and agreement (share of models), to sort by."
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8610,
    access_token: Annotated[
        str | None,
        typer.Option(
            "--access-token",
            envvar="NEWTEST_ACCESS_TOKEN",
            help="What the links are made of; required unless --host is loopback.",
            show_default="a fresh one: links end with the server",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="HOST",
            help="A name or address by which others reach this machine; may be repeated.",
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Look over classes and close pairs in the browser, until Ctrl-C: block, judge, undo.

    Each reviewer has a link of their own; every verdict is kept with the name. With --revision, classes whose members
    were looked over before are marked as done.

    Example: newtest review --study goldfish --reviewer ana --reviewer bob --revision a-1
    """
    from newtest.review import review_app, reviewer_link, revision_progress
    from newtest.review.agreement import read_agreement
    from newtest.study import Study
    from newtest.web.access import check_host, is_loopback
    from newtest.web.serving import listen, run

    token = check_host(host, access_token)
    shares = read_agreement(agreement) if agreement else None
    with Study(study) as opened:
        if revision is not None:
            progress = revision_progress(opened, revision)
            left = sum(one.reviewer is None for one in progress)
            note(f"{revision}: {left} of {len(progress)} classes are to be looked over")
        paths = {name: reviewer_link(opened, token, name) for name in reviewers or ["reviewer"]}
        app = review_app(opened, token, revision=revision, agreement=shares, hosts=(host, *(names or ())))
        listener = listen(host, port)
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    for name, path in paths.items():
        note(f"{name}  {url}{path}")
    if json:
        print_json({"url": url, "links": {name: url + path for name, path in paths.items()}})
    if not is_loopback(host):
        note(f"requests are answered under {', '.join([host, *(names or ())])}; add others with --name")
    note("Ctrl-C ends the server; nothing is lost")
    run(app, listener)
