"""Personal links for people whom the owner invites, and for those whom a recruiting site sends."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from newtest.catalog import workers
from newtest.catalog.workers import WorkerLink
from newtest.errors import UsageError
from newtest.study import now
from newtest.web.keys import Keys

__all__ = ["PURPOSE", "arrive", "invite"]

PURPOSE = "worker"
"""What the signature of a worker's link is for."""

MAX_LABEL = 80


def invite(catalog: sqlite3.Connection, keys: Keys, worker_key: Callable[[str], str], label: str) -> str:
    """The token of a person's link; the same person keeps the same link until it is revoked.

    ``label`` is the owner's own name for the person. After a revocation the new link is the same worker's:
    what they have seen is remembered. Call inside a transaction. Raises UsageError for an empty or overlong
    label.
    """
    label = label.strip()
    if not label or len(label) > MAX_LABEL or not label.isprintable():
        raise UsageError(f"a person's label has 1 to {MAX_LABEL} printable characters; got {label[:100]!r}")
    return _link(catalog, keys, WorkerLink("", worker_key(f"invited:{label}"), label, "invited", now()))


def arrive(
    catalog: sqlite3.Connection, keys: Keys, worker_key: Callable[[str], str], person: str
) -> str | None:
    """The token of the link of somebody whom a recruiting site sent; None when the owner has revoked it.

    Of ``person``, the site's id, only the keyed hash is kept. Call inside a transaction.
    """
    worker = worker_key(f"recruited:{person}")
    if workers.was_revoked(catalog, worker):
        return None
    return _link(catalog, keys, WorkerLink("", worker, "", "recruited", now()))


def _link(catalog: sqlite3.Connection, keys: Keys, wanted: WorkerLink) -> str:
    if (known := workers.active_link(catalog, wanted.worker)) is not None:
        return keys.link(PURPOSE, known.link_id)
    link_id, token = keys.new_link(PURPOSE)
    workers.insert_link(
        catalog, WorkerLink(link_id, wanted.worker, wanted.label, wanted.origin, wanted.created_at)
    )
    return token
