"""SQL of the reviewer's pages: classes, their images, blocks, and which members were looked over."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from newtest.catalog.frames import read_frame
from newtest.config import fingerprint

__all__ = [
    "Block",
    "Standing",
    "add_blocks",
    "add_class_review",
    "block_of",
    "class_after",
    "class_images",
    "classes",
    "members_hash",
    "reviewed",
    "verdict_of",
]


@dataclass(frozen=True)
class Block:
    """An image taken out of a class (of all, where ``wnid`` is None), or let in again."""

    image_id: str
    wnid: str | None
    blocked: bool
    reason: str
    reviewer: str
    given_at: str


@dataclass(frozen=True)
class Standing:
    """The latest row about something: its number (0: there is none), what it says, why, and who."""

    row: int
    value: bool | None
    reason: str
    reviewer: str


NOTHING = Standing(0, None, "", "")


def add_blocks(catalog: sqlite3.Connection, blocks: Iterable[Block]) -> None:
    """Append blocks; the latest one of an image and class counts."""
    catalog.executemany(
        "INSERT INTO blocks (image_id, wnid, blocked, reason, reviewer, given_at) VALUES (?, ?, ?, ?, ?, ?)",
        ((b.image_id, b.wnid, int(b.blocked), b.reason, b.reviewer, b.given_at) for b in blocks),
    )


def block_of(catalog: sqlite3.Connection, image_id: str, wnid: str) -> Standing:
    """What the latest row says of an image in a class: blocked (True), let in, or nothing (both None)."""
    row = catalog.execute(
        "SELECT block_id, blocked, reason, reviewer FROM blocks WHERE image_id = ? AND wnid = ?"
        " ORDER BY block_id DESC LIMIT 1",
        (image_id, wnid),
    ).fetchone()
    return NOTHING if row is None else Standing(int(row[0]), bool(row[1]), str(row[2]), str(row[3]))


def verdict_of(catalog: sqlite3.Connection, image_a: str, image_b: str) -> Standing:
    """What the latest row says of a pair (image_a < image_b): duplicate, different, or None where it was taken back."""
    row = catalog.execute(
        "SELECT verdict_id, duplicate, reviewer FROM verdicts WHERE image_a = ? AND image_b = ?"
        " ORDER BY verdict_id DESC LIMIT 1",
        (image_a, image_b),
    ).fetchone()
    if row is None:
        return NOTHING
    return Standing(int(row[0]), None if row[1] is None else bool(row[1]), "", str(row[2]))


def classes(catalog: sqlite3.Connection) -> pd.DataFrame:
    """One row per class with candidates: wnid, name (first lemma), candidates, blocked; by wnid."""
    return read_frame(
        catalog,
        "SELECT c.wnid, json_extract(k.lemmas, '$[0]'), count(*), sum(coalesce((SELECT blocked FROM blocks b"
        " WHERE b.image_id = c.image_id AND (b.wnid IS c.wnid OR b.wnid IS NULL) ORDER BY block_id DESC LIMIT 1), 0))"
        " FROM candidates c JOIN classes k ON k.wnid = c.wnid GROUP BY c.wnid ORDER BY c.wnid",
        {"wnid": "text", "name": "text", "candidates": "integer", "blocked": "integer"},
    )


def class_after(catalog: sqlite3.Connection, wnid: str) -> str | None:
    """The next class with candidates by wnid, the first again after the last; None where there is no other."""
    row = catalog.execute(
        "SELECT coalesce((SELECT min(wnid) FROM candidates WHERE wnid > ?1),"
        " (SELECT min(wnid) FROM candidates WHERE wnid < ?1))",
        (wnid,),
    )
    found = row.fetchone()[0]
    return None if found is None else str(found)


def class_images(catalog: sqlite3.Connection, wnid: str) -> pd.DataFrame:
    """Images of a class that have bytes, candidates and reference images, by image_id.

    Columns: image_id, sha256, reference (boolean), taken_on, page_url, num_selected, num_shown, blocked, reason.
    """
    return read_frame(
        catalog,
        """
        SELECT m.image_id, f.sha256, m.reference, coalesce(i.taken_on, i.uploaded_on, ''), i.page_url,
               (SELECT count(*) FROM votes v WHERE v.image_id = m.image_id AND v.wnid = ?1 AND selected = 1)
               + coalesce((SELECT sum(num_selected) FROM vote_counts v
                           WHERE v.image_id = m.image_id AND v.wnid = ?1), 0),
               (SELECT count(*) FROM votes v WHERE v.image_id = m.image_id AND v.wnid = ?1)
               + coalesce((SELECT sum(num_shown) FROM vote_counts v
                           WHERE v.image_id = m.image_id AND v.wnid = ?1), 0),
               coalesce((SELECT blocked FROM blocks b WHERE b.image_id = m.image_id AND (b.wnid = ?1 OR b.wnid IS NULL)
                         ORDER BY block_id DESC LIMIT 1), 0),
               coalesce((SELECT reason FROM blocks b WHERE b.image_id = m.image_id AND (b.wnid = ?1 OR b.wnid IS NULL)
                         ORDER BY block_id DESC LIMIT 1), '')
        FROM (SELECT image_id, 0 AS reference FROM candidates WHERE wnid = ?1
              UNION SELECT image_id, 1 FROM reference_members WHERE wnid = ?1) m
        JOIN images i USING (image_id) JOIN files f USING (image_id) WHERE f.state = 'ok' ORDER BY m.image_id
        """,
        {
            "image_id": "text", "sha256": "text", "reference": "boolean", "taken_on": "text", "page_url": "text",
            "num_selected": "integer", "num_shown": "integer", "blocked": "boolean", "reason": "text",
        },
        (wnid,),
    )  # fmt: skip


def members_hash(image_ids: Sequence[str]) -> str:
    """What names a class's members, whatever their order."""
    return fingerprint(sorted(image_ids))


def add_class_review(
    catalog: sqlite3.Connection, wnid: str, image_ids: Sequence[str], *, reviewer: str, given_at: str
) -> None:
    """Record that somebody looked over exactly these members of a class."""
    catalog.execute(
        "INSERT INTO class_reviews (wnid, members_hash, reviewer, given_at) VALUES (?, ?, ?, ?)",
        (wnid, members_hash(image_ids), reviewer, given_at),
    )


def reviewed(catalog: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """(wnid, members_hash) -> who looked it over last."""
    rows = catalog.execute("SELECT wnid, members_hash, reviewer FROM class_reviews ORDER BY review_id")
    return {(row[0], row[1]): row[2] for row in rows}
