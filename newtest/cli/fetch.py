"""newtest fetch"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, print_json, print_table, progress

if TYPE_CHECKING:
    from newtest.fetch import FetchSummary

__all__ = ["fetch", "report"]

AllowPrivate = Annotated[
    bool, typer.Option("--allow-private", help="Also fetch from private, loopback and link-local addresses.")
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

    Example: newtest fetch --study goldfish --per-host 8
    """
    from newtest.catalog.files import wanted
    from newtest.fetch import DownloadConfig, FetchConfig, fetch_missing
    from newtest.study import Study

    config = FetchConfig(
        download=DownloadConfig(
            total=total,
            per_host=per_host,
            retries=retries,
            deadline=deadline,
            read_timeout=read_timeout,
            connect_timeout=min(read_timeout, 10.0),
            allow_private=allow_private,
        ),
        max_attempts=max_attempts,
        thumbnails=thumbnails,
    )
    if failures:
        _list_failures(study, json)
        return
    with Study(study) as opened, progress() as bar:
        task = bar.add_task("fetch", total=len(wanted(opened.catalog, max_attempts)))
        summary = fetch_missing(opened, config, advance=lambda number: bar.advance(task, number))
    if json:
        print_json(summary.__dict__)
    else:
        report(summary)
    if summary.failed or summary.gone:
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


def report(summary: FetchSummary) -> None:
    """The end of a run, for a person: what came, and what did not by kind."""
    rate = summary.fetched / summary.seconds if summary.seconds else 0.0
    note(
        f"{summary.fetched} images fetched ({summary.num_bytes / 2**20:.1f} MiB, {rate:.0f} a second), "
        f"{summary.failed} failed, {summary.gone} gone for good"
    )
    if summary.kinds:
        print_table(["not fetched", "images"], summary.kinds.items())
        note(
            "the failed ones are tried again by the next newtest fetch; --failures lists all with their reasons"
        )
