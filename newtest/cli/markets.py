"""Which market a command talks to, what is paid for there, and who says yes to it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from newtest.cli.options import choice, note

if TYPE_CHECKING:
    from sqlite3 import Connection

    from newtest.crowd.annotators import Annotator
    from newtest.study import Study

__all__ = ["Market", "annotator_of", "confirm", "dollars", "nothing_to_publish"]


class Market:
    """Which market the options name. Raises UsageError when they contradict each other."""

    def __init__(
        self, kind: str, endpoint_url: str | None, sandbox: bool, live: bool, picture_url: str | None
    ) -> None:
        from newtest.errors import UsageError

        self.kind = choice("--to/--from", kind, ("local", "mturk"))
        self.endpoint_url, self.sandbox, self.picture_url = endpoint_url, sandbox, picture_url
        named = [endpoint_url is not None, sandbox, live]
        if self.kind == "mturk" and sum(named) != 1:
            raise UsageError("mturk needs exactly one of --endpoint-url URL, --sandbox and --live")
        if self.kind == "local" and any(named):
            raise UsageError("--endpoint-url, --sandbox and --live belong to mturk, not to local")


def annotator_of(study: Study, market: Market) -> Annotator:
    """Who puts HITs on that market. Raises UsageError."""
    import os

    from newtest.crowd.local import LocalAnnotator

    if market.kind == "local":
        return LocalAnnotator()
    from newtest.crowd.mturk import CLOSING_NOTICE, LIVE_URL, SANDBOX_URL, MTurkAnnotator, MTurkConfig
    from newtest.crowd.server.app import crowd_keys
    from newtest.crowd.server.protocol import ACCESS_KEY
    from newtest.crowd.server.worker_images import Pictures as PictureFiles

    url = (market.endpoint_url or (SANDBOX_URL if market.sandbox else LIVE_URL)).rstrip("/")
    name = market.endpoint_url or ("sandbox" if market.sandbox else "live")
    amazon = ".amazonaws.com" in url
    if amazon:
        note(CLOSING_NOTICE)
    token = None if amazon else os.environ.get("NEWTEST_ACCESS_TOKEN")
    config = MTurkConfig(name, url, ACCESS_KEY if token else None, token)
    pictures = PictureFiles(study.root, crowd_keys(study))
    prefix = market.picture_url or f"{url}/picture/"
    return MTurkAnnotator(config, lambda hit_id, image: prefix + pictures.token(hit_id, image))


def nothing_to_publish(catalog: Connection, market: str) -> str:
    """Why there is nothing to publish, and what to do."""
    from newtest.catalog.publications import publications

    if there := len(publications(catalog, market)):
        return f"all {there} planned HITs are published on {market} already; newtest annotate plan makes more"
    return "no planned HIT is left to publish: newtest annotate plan makes HITs of the images that lack votes"


def confirm(count: int, total: Decimal, max_cost: str | None) -> None:
    """Print the total and have it typed. Raises UsageError when it is above --max-cost, or was typed otherwise."""
    from newtest.crowd.costs import check_limit
    from newtest.errors import UsageError

    note(f"{count} to be paid for; TOTAL ${total}, fees included")
    if max_cost is None:
        raise UsageError(f"this costs ${total}: say --max-cost DOLLARS, at least {total}")
    check_limit(total, dollars("--max-cost", max_cost))
    typed = typer.prompt("Type the total to go on", default="", show_default=False, err=True)
    if typed.strip().lstrip("$") != str(total):
        raise UsageError(f"{typed.strip()!r} is not {total}: nothing was published or paid")


def dollars(option: str, text: str) -> Decimal:
    """An amount of money from an option. Raises UsageError."""
    from decimal import InvalidOperation

    from newtest.errors import UsageError

    try:
        value = Decimal(text.lstrip("$"))
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value < 10**9 or value != value.quantize(Decimal("0.01")):
        raise UsageError(f"{option}: an amount of dollars such as 0.10 is required, got {text!r}")
    return value
