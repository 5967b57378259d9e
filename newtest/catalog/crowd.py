"""What the planner needs to know of a class, and HITs as they were planned."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = [
    "CrowdImage",
    "HitImage",
    "class_state",
    "examples_of",
    "file_of",
    "hit_class",
    "hit_files",
    "hit_images",
    "references_classes",
    "set_class_pages",
    "shown_counts",
    "shown_file",
    "store_hit",
    "without_bytes",
]


@dataclass(frozen=True)
class CrowdImage:
    """An image of a class as the planner sees it; counts are of people's votes, those of excluded workers left out."""

    image_id: str
    original: bool
    """A member of a reference set, not a candidate."""
    num_selected: int
    num_shown: int
    underway: int
    """Votes that planned HITs will still bring."""


@dataclass(frozen=True)
class HitImage:
    """One image of a planned HIT. ``position`` counts from 1."""

    position: int
    image_id: str
    role: str


def class_state(catalog: sqlite3.Connection, wnid: str) -> list[CrowdImage]:
    """The images of a class that can be shown (their bytes are here, nobody blocked them), by id."""
    rows = catalog.execute(
        """
        WITH simulated AS (SELECT batch_id FROM vote_batches WHERE origin = 'simulated'), pairs AS (
            SELECT image_id, max(original) AS original FROM (
                SELECT image_id, 0 AS original FROM candidates WHERE wnid = :wnid
                UNION ALL SELECT image_id, 1 FROM reference_members WHERE wnid = :wnid
            ) GROUP BY image_id
        )
        SELECT p.image_id, p.original,
            (SELECT count(*) FROM votes v WHERE v.image_id = p.image_id AND v.wnid = :wnid
                AND v.batch_id NOT IN simulated AND v.worker NOT IN (SELECT worker FROM excluded_workers)) AS single,
            (SELECT coalesce(sum(selected), 0) FROM votes v WHERE v.image_id = p.image_id AND v.wnid = :wnid
                AND v.batch_id NOT IN simulated
                AND v.worker NOT IN (SELECT worker FROM excluded_workers)) AS single_selected,
            (SELECT coalesce(sum(num_shown), 0) FROM vote_counts c
                WHERE c.image_id = p.image_id AND c.wnid = :wnid) AS counted,
            (SELECT coalesce(sum(num_selected), 0) FROM vote_counts c
                WHERE c.image_id = p.image_id AND c.wnid = :wnid) AS counted_selected,
            (SELECT coalesce(sum(max(0, h.assignments -
                    (SELECT count(*) FROM assignments a WHERE a.hit_id = h.hit_id AND a.market <>
                    'sandbox'))), 0)
                FROM hit_images i JOIN hits h USING (hit_id)
                WHERE i.image_id = p.image_id AND h.wnid = :wnid AND i.role IN ('candidate', 'filler', 'positive')
                AND NOT EXISTS (SELECT 1 FROM publications u WHERE u.hit_id = h.hit_id
                    AND u.closed_at IS NOT NULL AND u.market <> 'sandbox')) AS underway
        FROM pairs p
        WHERE EXISTS (SELECT 1 FROM files f WHERE f.image_id = p.image_id AND f.state = 'ok')
        AND NOT coalesce((SELECT blocked FROM blocks b WHERE b.image_id = p.image_id
            AND (b.wnid IS NULL OR b.wnid = :wnid) ORDER BY block_id DESC LIMIT 1), 0)
        ORDER BY p.image_id
        """,
        {"wnid": wnid},
    )
    return [
        CrowdImage(
            row["image_id"],
            bool(row["original"]),
            row["single_selected"] + row["counted_selected"],
            row["single"] + row["counted"],
            row["underway"],
        )
        for row in rows
    ]


def without_bytes(catalog: sqlite3.Connection, wnid: str, votes: int) -> int:
    """How many images of a class lack votes of people and cannot be shown to any: their bytes are not here.

    Members of a reference that is ids alone are not among them: nobody could get their bytes.
    """
    row = catalog.execute(
        """
        WITH simulated AS (SELECT batch_id FROM vote_batches WHERE origin = 'simulated')
        SELECT count(*) FROM (SELECT image_id FROM candidates WHERE wnid = :wnid
            UNION SELECT image_id FROM reference_members WHERE wnid = :wnid) p JOIN images i USING (image_id)
        WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.image_id = p.image_id AND f.state = 'ok')
        AND (i.url IS NOT NULL OR i.source NOT LIKE 'reference:%')
        AND NOT coalesce((SELECT blocked FROM blocks b WHERE b.image_id = p.image_id
            AND (b.wnid IS NULL OR b.wnid = :wnid) ORDER BY block_id DESC LIMIT 1), 0)
        AND (SELECT count(*) FROM votes v WHERE v.image_id = p.image_id AND v.wnid = :wnid
                AND v.batch_id NOT IN simulated AND v.worker NOT IN (SELECT worker FROM excluded_workers))
            + (SELECT coalesce(sum(num_shown), 0) FROM vote_counts c
                WHERE c.image_id = p.image_id AND c.wnid = :wnid) < :votes
        """,
        {"wnid": wnid, "votes": votes},
    ).fetchone()
    return int(row[0])


def references_classes(catalog: sqlite3.Connection) -> list[str]:
    """The classes that some reference set has images of, sorted."""
    return [row[0] for row in catalog.execute("SELECT DISTINCT wnid FROM reference_members ORDER BY wnid")]


def shown_counts(catalog: sqlite3.Connection, wnid: str) -> dict[str, int]:
    """How many planned HITs of a class show each image."""
    rows = catalog.execute(
        "SELECT image_id, count(*) FROM hit_images JOIN hits USING (hit_id) WHERE wnid = ?"
        " AND role NOT IN ('example', 'pair') GROUP BY image_id",
        (wnid,),
    )
    return {row[0]: row[1] for row in rows}


def examples_of(catalog: sqlite3.Connection, wnid: str) -> list[str]:
    """The images that earlier HITs of a class gave as examples: they cannot be asked about any more."""
    rows = catalog.execute(
        "SELECT DISTINCT image_id FROM hit_images JOIN hits USING (hit_id) WHERE wnid = ? AND role = 'example'"
        " ORDER BY image_id",
        (wnid,),
    )
    return [row[0] for row in rows]


def store_hit(
    catalog: sqlite3.Connection,
    hit: tuple[str, str, int],
    images: Iterable[HitImage],
    *,
    plan: str,
    planned_at: str,
) -> bool:
    """Keep a planned HIT (id, wnid, assignments); False when it is there already. Call inside a
    transaction."""
    cursor = catalog.execute(
        "INSERT OR IGNORE INTO hits (hit_id, wnid, assignments, plan, planned_at) VALUES (?, ?, ?, ?, ?)",
        (*hit, plan, planned_at),
    )
    if cursor.rowcount == 0:
        return False
    catalog.executemany(
        "INSERT INTO hit_images (hit_id, position, image_id, role) VALUES (?, ?, ?, ?)",
        [(hit[0], image.position, image.image_id, image.role) for image in images],
    )
    return True


def hit_images(catalog: sqlite3.Connection, hit_id: str) -> list[HitImage]:
    """All images of a HIT in the order of its page, examples last."""
    rows = catalog.execute(
        "SELECT position, image_id, role FROM hit_images WHERE hit_id = ? ORDER BY position", (hit_id,)
    )
    return [HitImage(*row) for row in rows]


def hit_class(catalog: sqlite3.Connection, hit_id: str) -> sqlite3.Row | None:
    """The class of a planned HIT: wnid, lemmas (JSON), gloss, url (may be NULL); None when there is no such
    HIT."""
    row: sqlite3.Row | None = catalog.execute(
        "SELECT c.wnid, c.lemmas, c.gloss, p.url FROM hits h JOIN classes c USING (wnid)"
        " LEFT JOIN class_pages p USING (wnid) WHERE h.hit_id = ?",
        (hit_id,),
    ).fetchone()
    return row


def set_class_pages(catalog: sqlite3.Connection, pages: Mapping[str, str]) -> int:
    """Keep an encyclopedia page for each class of the study that the mapping names; gives how many."""
    known = {row[0] for row in catalog.execute("SELECT wnid FROM classes")}
    rows = [(wnid, url) for wnid, url in sorted(pages.items()) if wnid in known]
    catalog.executemany("INSERT OR REPLACE INTO class_pages (wnid, url) VALUES (?, ?)", rows)
    return len(rows)


def shown_file(catalog: sqlite3.Connection, hit_id: str, position: int, link_id: str | None) -> str | None:
    """The sha256 of the image at a place of a HIT; None when its bytes are not here, or the worker's link is no longer
    good (``link_id`` None: no link is asked for)."""
    row = catalog.execute(
        "SELECT f.sha256 FROM hit_images i JOIN files f USING (image_id)"
        " WHERE i.hit_id = :hit AND i.position = :position AND f.state = 'ok' AND (:link IS NULL OR EXISTS ("
        " SELECT 1 FROM worker_links l WHERE l.link_id = :link AND l.revoked_at IS NULL))",
        {"hit": hit_id, "position": position, "link": link_id},
    ).fetchone()
    return None if row is None else str(row[0])


def hit_files(catalog: sqlite3.Connection, hit_id: str) -> list[str]:
    """The sha256 of every image of a HIT whose bytes are here, in the order of its page."""
    rows = catalog.execute(
        "SELECT f.sha256 FROM hit_images i JOIN files f USING (image_id) WHERE i.hit_id = ? AND f.state = 'ok'"
        " ORDER BY i.position",
        (hit_id,),
    )
    return [str(row[0]) for row in rows]


def file_of(catalog: sqlite3.Connection, image_id: str) -> str | None:
    """The sha256 of an image's bytes; None when they are not here."""
    row = catalog.execute(
        "SELECT sha256 FROM files WHERE image_id = ? AND state = 'ok'", (image_id,)
    ).fetchone()
    return None if row is None else str(row[0])
