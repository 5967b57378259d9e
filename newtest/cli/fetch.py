"""newtest fetch"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, print_json, print_table

__all__ = ["fetch"]

AllowPrivate = Annotated[
    bool, typer.Option("--allow-private", help="Allow private, loopback and link-local addresses too.")
]


def fetch(
    study: StudyDir = Path(),
    max_attempts: Annotated[
        int, typer.Option("--max-attempts", min=1, help="Give an image up after failing in this many runs.")
    ] = 3,
    total: Annotated[int, typer.Option("--concurrency", min=1, help="Downloads at once.")] = 256,
    per_host: Annotated[int, typer.Option("--per-host", min=1, help="Downloads at once from one host.")] = 32,
    retries: Annotated[int, typer.Option("--retries", min=0, help="Tries again within the run.")] = 4,
    deadline: Annotated[
        float, typer.Option("--deadline", min=0.1, help="Seconds for one download, redirects included.")
    ] = 60.0,
    read_timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds a server may be silent.")
    ] = 10.0,
    longest_rest: Annotated[
        float,
        typer.Option(
            "--longest-rest", min=0.0, help="Seconds to wait for a host that throttles and answers nothing."
        ),
    ] = 900.0,
    allow_private: AllowPrivate = False,
    thumbnails: Annotated[
        bool, typer.Option(help="Make what people are shown at the end (it decodes every image once).")
    ] = True,
    failures: Annotated[
        bool, typer.Option("--failures", help="Fetch nothing: list the images without bytes, and why.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Download the images that have no bytes yet; check them, make thumbnails, try earlier failures again.

    A host that asks for fewer requests is asked at the pace that it allows, which later runs remember.

    Example: newtest fetch --study goldfish --per-host 8
    """
    from newtest.cli.downloading import fetched, report
    from newtest.fetching import DownloadConfig, FetchConfig
    from newtest.study import Study

    config = FetchConfig(
        download=DownloadConfig(
            total=total,
            per_host=per_host,
            retries=retries,
            deadline=deadline,
            read_timeout=read_timeout,
            connect_timeout=min(read_timeout, 10.0),
            longest_rest=longest_rest,
            allow_private=allow_private,
        ),
        max_attempts=max_attempts,
        thumbnails=thumbnails,
    )
    if failures:
        _list_failures(study, json)
        return
    with Study(study) as opened:
        summary = fetched(opened, config)
    if json:
        print_json(summary.__dict__ | {"given_up": summary.given_up})
    else:
        report(summary, max_attempts)
    if summary.failed or summary.gone or summary.given_up:
        raise typer.Exit(1)


def _list_failures(study: Path, json: bool) -> None:
    from newtest.catalog.files import failures
    from newtest.study import Study

    with Study(study) as opened:
        rows = failures(opened.catalog)
    columns = ["image", "state", "kind", "attempts", "reason", "url"]
    if json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)
