"""What the evaluation reads: members of revisions and references with their votes and bytes, and how much there is."""

from __future__ import annotations

import sqlite3

import pandas as pd

from newtest.errors import EvaluationError

__all__ = ["amounts", "class_words", "has_set", "left_out", "members", "pool_votes", "revision_facts"]

_AMOUNTS = {
    "classes": "SELECT count(*) FROM classes",
    "candidates": "SELECT count(*) FROM candidates",
    "images": "SELECT count(*) FROM files JOIN images USING (image_id)"
    " WHERE state = 'ok' AND source NOT LIKE 'reference:%'",
    "originals": "SELECT count(*) FROM reference_members",
    "votes": "SELECT (SELECT count(*) FROM votes) + coalesce((SELECT sum(num_shown) FROM vote_counts), 0)",
    "simulated_votes": "SELECT (SELECT count(*) FROM votes JOIN vote_batches USING (batch_id)"
    " WHERE origin = 'simulated') + coalesce((SELECT sum(num_shown) FROM vote_counts"
    " JOIN vote_batches USING (batch_id) WHERE origin = 'simulated'), 0)",
    "compared": "SELECT count(DISTINCT image_id) FROM compared",
    "duplicate_pairs": "SELECT count(*) FROM (SELECT max(verdict_id), duplicate FROM verdicts"
    " GROUP BY image_a, image_b) WHERE duplicate",
}

_COUNTS = """
    SELECT image_id, wnid, sum(selected) AS num_selected, count(*) AS num_shown FROM (
        SELECT image_id, wnid, selected FROM votes WHERE worker NOT IN (SELECT worker FROM excluded_workers)
    ) GROUP BY image_id, wnid
"""

_ADDED = """
    SELECT image_id, wnid, sum(num_selected) AS num_selected, sum(num_shown) AS num_shown
    FROM vote_counts GROUP BY image_id, wnid
"""


def has_set(catalog: sqlite3.Connection, name: str) -> bool:
    """Whether a revision or a reference has this name."""
    sql = "SELECT 1 FROM revisions WHERE name = ? UNION ALL SELECT 1 FROM references_ WHERE name = ?"
    return catalog.execute(sql, (name, name)).fetchone() is not None


def members(catalog: sqlite3.Connection, name: str) -> pd.DataFrame:
    """image_id, wnid, num_selected, num_shown (missing where nobody was asked), sha256 (missing where there
    are no bytes), in the order of (wnid, image_id). Raises EvaluationError for a name that is neither a
    revision nor a reference.
    """
    if catalog.execute("SELECT 1 FROM revisions WHERE name = ?", (name,)).fetchone():
        sql = """
            SELECT m.image_id, m.wnid, m.num_selected, m.num_shown, f.sha256
            FROM revision_members m LEFT JOIN files f ON f.image_id = m.image_id
            WHERE m.revision = ? ORDER BY m.wnid, m.image_id
        """
    elif catalog.execute("SELECT 1 FROM references_ WHERE name = ?", (name,)).fetchone():
        sql = f"""
            SELECT m.image_id, m.wnid,
                   coalesce(v.num_selected, 0) + coalesce(c.num_selected, 0) AS num_selected,
                   nullif(coalesce(v.num_shown, 0) + coalesce(c.num_shown, 0), 0) AS num_shown, f.sha256
            FROM reference_members m
            LEFT JOIN ({_COUNTS}) v ON v.image_id = m.image_id AND v.wnid = m.wnid
            LEFT JOIN ({_ADDED}) c ON c.image_id = m.image_id AND c.wnid = m.wnid
            LEFT JOIN files f ON f.image_id = m.image_id
            WHERE m.reference = ? ORDER BY m.wnid, m.image_id
        """
    else:
        known = [
            row[0]
            for row in catalog.execute("SELECT name FROM revisions UNION ALL SELECT name FROM references_")
        ]
        raise EvaluationError(
            f"no file, revision or reference {name!r}; the study has {', '.join(known) or 'none yet'}"
        )
    rows = catalog.execute(sql, (name,)).fetchall()
    columns = ["image_id", "wnid", "num_selected", "num_shown", "sha256"]
    return pd.DataFrame([tuple(row) for row in rows], columns=columns)


def pool_votes(catalog: sqlite3.Connection) -> pd.DataFrame:
    """num_selected and num_shown of every candidate that people were asked about: what revisions are drawn by."""
    sql = f"""
        SELECT coalesce(v.num_selected, 0) + coalesce(c.num_selected, 0) AS num_selected,
               coalesce(v.num_shown, 0) + coalesce(c.num_shown, 0) AS num_shown
        FROM candidates p
        LEFT JOIN ({_COUNTS}) v ON v.image_id = p.image_id AND v.wnid = p.wnid
        LEFT JOIN ({_ADDED}) c ON c.image_id = p.image_id AND c.wnid = p.wnid
        ORDER BY p.wnid, p.image_id
    """
    frame = pd.DataFrame([tuple(row) for row in catalog.execute(sql)], columns=["num_selected", "num_shown"])
    return frame[frame["num_shown"] > 0].reset_index(drop=True)


def revision_facts(catalog: sqlite3.Connection, name: str) -> dict[str, str | int] | None:
    """What is known of a revision: reference, members, seed and strategy are in ``config`` (JSON); None if
    there is none.
    """
    row = catalog.execute(
        "SELECT config, reference, parent, simulated, incomplete, created_at, members_hash,"
        " (SELECT count(*) FROM revision_members WHERE revision = name) AS members FROM revisions WHERE name = ?",
        (name,),
    ).fetchone()
    return dict(row) if row else None


def amounts(catalog: sqlite3.Connection) -> dict[str, int]:
    """How much a study holds: classes, candidates (pairs of image and class), images of the pool with their bytes,
    images of originals, votes and how many of them are simulated, images compared for near-duplicates, pairs judged
    to be some.
    """
    return {name: int(catalog.execute(sql).fetchone()[0]) for name, sql in _AMOUNTS.items()}


def class_words(catalog: sqlite3.Connection) -> dict[str, str]:
    """The first lemma of every class."""
    return dict(catalog.execute("SELECT wnid, json_extract(lemmas, '$[0]') FROM classes").fetchall())


def left_out(catalog: sqlite3.Connection, revision: str) -> list[tuple[str, int]]:
    """Why candidates are not in a revision: (first reason that held, candidates), the most frequent first."""
    rows = catalog.execute(
        "SELECT reason, count(*) FROM revision_exclusions WHERE revision = ?"
        " GROUP BY reason ORDER BY count(*) DESC, reason",
        (revision,),
    )
    return [(row[0], row[1]) for row in rows]
