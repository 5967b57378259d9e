"""The list of commands, in the order of the work. To add one, write it in its stage's module and name it here."""

from __future__ import annotations

import typer

from newtest.cli import (
    annotate,
    check,
    collect,
    dedup,
    demo,
    evaluate,
    fetch,
    filter_pool,
    merge,
    pool_status,
    reference,
    release,
    report,
    sample,
    status,
    takedown,
    votes,
)

__all__ = ["attach"]


def attach(app: typer.Typer) -> None:
    """Hang every command on the application. Modules of commands import only typer at their top."""
    # The tour
    app.command("demo")(demo.demo)
    # Collect
    app.command("classes")(collect.classes)
    app.command("collect")(collect.collect)
    app.command("fetch")(fetch.fetch)
    # Reference
    app.add_typer(reference.app, name="reference")
    # Annotate and votes
    app.add_typer(annotate.app, name="annotate")
    app.add_typer(votes.app, name="votes")
    app.command("frequencies")(votes.frequencies)
    # Near-duplicates
    app.command("dedup")(dedup.dedup)
    # Sample
    app.command("sample")(sample.sample)
    app.command("diff")(sample.diff)
    # Review
    # Release
    app.command("check")(check.check)
    app.command("release")(release.release)
    app.command("takedown")(takedown.takedown)
    # Evaluate and report
    app.command("evaluate")(evaluate.evaluate)
    app.add_typer(report.app, name="report")
    # The study as a whole
    app.command("status")(status.status)
    # Image-text pools
    app.command("pool-status")(pool_status.pool_status)
    app.command("filter-pool")(filter_pool.filter_pool)
    # CLIP as a measuring instrument
    app.add_typer(merge.app, name="merge")
