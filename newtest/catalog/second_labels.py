"""Second labels: other classes that an image of a set may show too. Asked like any pair of image and class."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import pandas as pd

from newtest.catalog.crowd import CrowdImage
from newtest.catalog.frames import read_frame

__all__ = ["asked_about", "has_proposals", "proposals", "second_alone", "store_proposals", "without_bytes"]


def store_proposals(catalog: sqlite3.Connection, rows: Iterable[tuple[str, str, str]], *, at: str) -> int:
    """Keep proposals (image_id, wnid, source); gives how many pairs of image and class are new. Call inside a
    transaction."""
    before = _count(catalog)
    catalog.executemany(
        "INSERT OR IGNORE INTO second_labels (image_id, wnid, source, proposed_at) VALUES (?, ?, ?, ?)",
        [(*row, at) for row in rows],
    )
    return _count(catalog) - before


def proposals(catalog: sqlite3.Connection) -> pd.DataFrame:
    """image_id, wnid, sources (joined with commas): the pairs that were proposed; sorted by (image_id, wnid)."""
    return read_frame(
        catalog,
        "SELECT image_id, wnid, group_concat(source, ',') FROM"
        " (SELECT image_id, wnid, source FROM second_labels ORDER BY image_id, wnid, source)"
        " GROUP BY image_id, wnid ORDER BY image_id, wnid",
        {"image_id": "text", "wnid": "text", "sources": "text"},
    )


def second_alone(catalog: sqlite3.Connection) -> set[tuple[str, str]]:
    """The proposed pairs (image_id, wnid) that are neither candidates nor members of a reference: votes on them are
    about second labels and nothing else."""
    rows = catalog.execute(
        "SELECT image_id, wnid FROM second_labels EXCEPT SELECT image_id, wnid FROM candidates"
        " EXCEPT SELECT image_id, wnid FROM reference_members"
    )
    return {(row[0], row[1]) for row in rows}


def has_proposals(catalog: sqlite3.Connection) -> bool:
    """Whether second labels were ever proposed in this study."""
    return catalog.execute("SELECT 1 FROM second_labels LIMIT 1").fetchone() is not None


def asked_about(catalog: sqlite3.Connection, wnid: str) -> list[CrowdImage]:
    """The images that may show a class as a second one, and are neither its candidates nor its originals; by id.

    Only what can be shown (bytes are here, not blocked). Answers given as negative controls do not count: they tested
    the worker.
    """
    rows = catalog.execute(
        """
        WITH simulated AS (SELECT batch_id FROM vote_batches WHERE origin = 'simulated'),
        pairs AS (SELECT DISTINCT image_id FROM second_labels s WHERE wnid = :wnid
            AND NOT EXISTS (SELECT 1 FROM candidates c WHERE c.image_id = s.image_id AND c.wnid = s.wnid)
            AND NOT EXISTS (SELECT 1 FROM reference_members m WHERE m.image_id = s.image_id AND m.wnid = s.wnid))
        SELECT p.image_id,
            (SELECT count(*) FROM votes v WHERE v.image_id = p.image_id AND v.wnid = :wnid
                AND v.control IS NOT 'negative' AND v.batch_id NOT IN simulated
                AND v.worker NOT IN (SELECT worker FROM excluded_workers))
            + (SELECT coalesce(sum(num_shown), 0) FROM vote_counts c
                WHERE c.image_id = p.image_id AND c.wnid = :wnid) AS shown,
            (SELECT coalesce(sum(max(0, h.assignments -
                    (SELECT count(*) FROM assignments a WHERE a.hit_id = h.hit_id AND a.market <> 'sandbox'))), 0)
                FROM hit_images i JOIN hits h USING (hit_id)
                WHERE i.image_id = p.image_id AND h.wnid = :wnid AND i.role IN ('candidate', 'filler')
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
    return [CrowdImage(row["image_id"], False, 0, row["shown"], row["underway"]) for row in rows]


def without_bytes(catalog: sqlite3.Connection) -> int:
    """How many proposed pairs are of images that nobody can be shown, because their bytes are not here."""
    return int(
        catalog.execute(
            "SELECT count(*) FROM (SELECT DISTINCT image_id, wnid FROM second_labels) p"
            " WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.image_id = p.image_id AND f.state = 'ok')"
        ).fetchone()[0]
    )


def _count(catalog: sqlite3.Connection) -> int:
    sql = "SELECT count(*) FROM (SELECT DISTINCT image_id, wnid FROM second_labels)"
    return int(catalog.execute(sql).fetchone()[0])
