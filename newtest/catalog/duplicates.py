"""SQL of near-duplicates: hashes, close pairs, what was compared, verdicts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from newtest.catalog.frames import read_frame
from newtest.catalog.pair_searches import left_out

__all__ = [
    "Neighbour",
    "Verdict",
    "add_compared",
    "add_hashes",
    "add_neighbours",
    "add_verdicts",
    "class_members",
    "close_pairs",
    "compared_radius",
    "distances_of",
    "hash_values",
    "image_facts",
    "is_empty",
    "is_reference",
    "latest_verdicts",
    "members_with_bytes",
    "never_compared",
    "not_compared",
    "scopes",
    "sha256_of",
    "unhashed",
    "unjudged",
    "votes_cast",
    "without_metric",
]


@dataclass(frozen=True)
class Neighbour:
    """A close pair, ``image_a < image_b``; a distance: smaller is closer."""

    image_a: str
    image_b: str
    metric: str
    distance: float


@dataclass(frozen=True)
class Verdict:
    """What a person, or a rule that the user set, says of a pair; None takes a verdict back."""

    image_a: str
    image_b: str
    duplicate: bool | None
    reviewer: str
    given_at: str


def scopes(catalog: sqlite3.Connection) -> list[str]:
    """The sets to compare with: ``pool``, then ``reference:NAME`` of each reference set, by name."""
    names = catalog.execute("SELECT name FROM references_ ORDER BY name")
    return ["pool", *(f"reference:{row[0]}" for row in names)]


def members_with_bytes(catalog: sqlite3.Connection, scope: str) -> list[tuple[str, str]]:
    """(image_id, sha256) of a scope's images whose bytes are in the study, by image_id."""
    members, values = _members(scope)
    rows = catalog.execute(
        f"SELECT image_id, sha256 FROM ({members}) JOIN files USING (image_id) WHERE state = 'ok' ORDER BY image_id",
        values,
    )
    return [(row[0], row[1]) for row in rows]


def is_empty(catalog: sqlite3.Connection, scope: str) -> bool:
    """Whether no image of a scope has bytes in the study: there is nothing to compare with."""
    members, values = _members(scope)
    query = f"SELECT EXISTS (SELECT 1 FROM ({members}) JOIN files USING (image_id) WHERE state = 'ok')"
    return not catalog.execute(query, values).fetchone()[0]


def _members(scope: str) -> tuple[str, tuple[str, ...]]:
    """A query for the image ids of a scope, and its values."""
    if scope == "pool":
        return "SELECT DISTINCT image_id FROM candidates", ()
    name = scope.removeprefix("reference:")
    return "SELECT DISTINCT image_id FROM reference_members WHERE reference = ?", (name,)


def unhashed(catalog: sqlite3.Connection, kind: str) -> list[str]:
    """sha256 of the bytes of candidates and reference images that have no hash of this kind yet, sorted."""
    rows = catalog.execute(
        "SELECT DISTINCT sha256 FROM files WHERE state = 'ok' AND image_id IN"
        " (SELECT image_id FROM candidates UNION SELECT image_id FROM reference_members)"
        " AND sha256 NOT IN (SELECT sha256 FROM hashes WHERE kind = ?) ORDER BY sha256",
        (kind,),
    )
    return [row[0] for row in rows]


def add_hashes(catalog: sqlite3.Connection, kind: str, values: Iterable[tuple[str, bytes]]) -> None:
    """Keep (sha256, value) of one kind; a value that is there already stays."""
    catalog.executemany(
        "INSERT OR IGNORE INTO hashes (sha256, kind, value) VALUES (?, ?, ?)",
        ((sha256, kind, value) for sha256, value in values),
    )


def hash_values(catalog: sqlite3.Connection, kind: str) -> Iterator[tuple[str, bytes]]:
    """(sha256, value) of every hash of a kind."""
    for row in catalog.execute("SELECT sha256, value FROM hashes WHERE kind = ?", (kind,)):
        yield row[0], row[1]


def compared_radius(catalog: sqlite3.Connection, metric: str, scope: str) -> dict[str, float]:
    """image_id -> radius to which it was compared with every member of the scope."""
    rows = catalog.execute(
        "SELECT image_id, radius FROM compared WHERE metric = ? AND scope = ?", (metric, scope)
    )
    return {row[0]: row[1] for row in rows}


def never_compared(catalog: sqlite3.Connection, metric: str, scope: str) -> list[str]:
    """Candidates that were not compared with a scope by a metric, by image_id."""
    rows = catalog.execute(
        "SELECT DISTINCT image_id FROM candidates c WHERE NOT EXISTS (SELECT 1 FROM compared d"
        " WHERE d.image_id = c.image_id AND d.metric = ? AND d.scope = ?) ORDER BY image_id",
        (metric, scope),
    )
    return [row[0] for row in rows]


def not_compared(
    catalog: sqlite3.Connection, image_ids: Iterable[str], *, metric: str, scope: str, radius: float
) -> list[str]:
    """Which of these images were not compared with all of ``scope`` up to ``radius``, in their order."""
    done = compared_radius(catalog, metric, scope)
    return [image_id for image_id in image_ids if done.get(image_id, -1) < radius]


def add_compared(
    catalog: sqlite3.Connection, image_ids: Iterable[str], *, metric: str, scope: str, radius: float
) -> None:
    """These images were compared with all of ``scope`` up to ``radius``; a larger radius that is there stays."""
    catalog.executemany(
        "INSERT INTO compared (image_id, metric, scope, radius) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (image_id, metric, scope) DO UPDATE SET radius = max(radius, excluded.radius)",
        ((image_id, metric, scope, radius) for image_id in image_ids),
    )


def add_neighbours(catalog: sqlite3.Connection, pairs: Iterable[Neighbour]) -> int:
    """Keep close pairs; returns how many are new."""
    before = catalog.total_changes
    catalog.executemany(
        "INSERT OR IGNORE INTO neighbours (image_a, image_b, metric, distance) VALUES (?, ?, ?, ?)",
        ((pair.image_a, pair.image_b, pair.metric, pair.distance) for pair in pairs),
    )
    return catalog.total_changes - before


def close_pairs(catalog: sqlite3.Connection) -> pd.DataFrame:
    """image_a, image_b, metric, distance of every close pair, in that order.

    Without the metrics that the study compared by once and does not any more.
    """
    dropped = left_out(catalog)
    rows = catalog.execute(
        f"SELECT image_a, image_b, metric, distance FROM neighbours WHERE metric NOT IN ({_marks(dropped)})"
        " ORDER BY image_a, image_b, metric",
        dropped,
    ).fetchall()
    return pd.DataFrame([tuple(row) for row in rows], columns=["image_a", "image_b", "metric", "distance"])


def distances_of(catalog: sqlite3.Connection, image_a: str, image_b: str) -> dict[str, float]:
    """metric -> distance of a pair (image_a < image_b), by each metric in which it was measured, by name."""
    rows = catalog.execute(
        "SELECT metric, distance FROM neighbours WHERE image_a = ? AND image_b = ? ORDER BY metric",
        (image_a, image_b),
    )
    return {row[0]: float(row[1]) for row in rows}


def add_verdicts(catalog: sqlite3.Connection, verdicts: Iterable[Verdict]) -> None:
    """Append verdicts; the latest one of a pair counts, the others stay on record."""
    catalog.executemany(
        "INSERT INTO verdicts (image_a, image_b, duplicate, reviewer, given_at) VALUES (?, ?, ?, ?, ?)",
        ((v.image_a, v.image_b, v.duplicate, v.reviewer, v.given_at) for v in verdicts),
    )


def latest_verdicts(catalog: sqlite3.Connection) -> pd.DataFrame:
    """image_a, image_b, duplicate, reviewer, given_at: the verdict of each judged pair that counts."""
    rows = catalog.execute(
        "SELECT image_a, image_b, duplicate, reviewer, given_at FROM verdicts WHERE verdict_id IN"
        " (SELECT max(verdict_id) FROM verdicts GROUP BY image_a, image_b) AND duplicate IS NOT NULL"
        " ORDER BY image_a, image_b"
    ).fetchall()
    table = pd.DataFrame(
        [tuple(row) for row in rows], columns=["image_a", "image_b", "duplicate", "reviewer", "given_at"]
    )
    return table.astype({"duplicate": bool})


def unjudged(catalog: sqlite3.Connection, metric: str, limit: float) -> list[tuple[str, str]]:
    """Pairs within ``limit`` by ``metric`` that have no verdict of any kind."""
    rows = catalog.execute(
        "SELECT image_a, image_b FROM neighbours n WHERE metric = ? AND distance <= ? AND NOT EXISTS"
        " (SELECT 1 FROM verdicts v WHERE v.image_a = n.image_a AND v.image_b = n.image_b) ORDER BY image_a, image_b",
        (metric, limit),
    )
    return [(row[0], row[1]) for row in rows]


def without_metric(catalog: sqlite3.Connection, metric: str) -> list[tuple[str, str]]:
    """Pairs that are close by some metric that the study compares by, and not measured by this one."""
    dropped = left_out(catalog)
    rows = catalog.execute(
        f"SELECT DISTINCT image_a, image_b FROM neighbours n WHERE metric NOT IN ({_marks(dropped)})"
        " AND NOT EXISTS (SELECT 1 FROM neighbours m WHERE m.image_a = n.image_a AND m.image_b = n.image_b"
        " AND m.metric = ?) ORDER BY image_a, image_b",
        (*dropped, metric),
    )
    return [(row[0], row[1]) for row in rows]


def class_members(catalog: sqlite3.Connection, wnid: str) -> list[str]:
    """image_id of every candidate and reference image of a class that has bytes, sorted."""
    rows = catalog.execute(
        "SELECT image_id FROM files WHERE state = 'ok' AND image_id IN (SELECT image_id FROM candidates WHERE wnid = ?"
        " UNION SELECT image_id FROM reference_members WHERE wnid = ?) ORDER BY image_id",
        (wnid, wnid),
    )
    return [row[0] for row in rows]


def sha256_of(catalog: sqlite3.Connection, image_id: str) -> str | None:
    """The hash of an image's bytes, None where there are none."""
    row = catalog.execute(
        "SELECT sha256 FROM files WHERE image_id = ? AND state = 'ok'", (image_id,)
    ).fetchone()
    return None if row is None else str(row[0])


def is_reference(catalog: sqlite3.Connection, image_id: str) -> bool:
    """Whether an image is of a reference set."""
    row = catalog.execute("SELECT EXISTS (SELECT 1 FROM reference_members WHERE image_id = ?)", (image_id,))
    return bool(row.fetchone()[0])


def image_facts(catalog: sqlite3.Connection) -> pd.DataFrame:
    """One row per image that is a candidate or of a reference: what the rules about components look at.

    Columns: image_id, candidate, reference, url, page_url, pixels, sampled (in any revision), blocked (for all
    classes, or for each class that it is a candidate of), has_bytes; sorted by image_id.
    """
    return read_frame(
        catalog,
        """
        SELECT i.image_id, EXISTS (SELECT 1 FROM candidates c WHERE c.image_id = i.image_id) AS candidate,
               EXISTS (SELECT 1 FROM reference_members m WHERE m.image_id = i.image_id) AS reference,
               i.url, i.page_url, coalesce(f.width * f.height, 0),
               i.image_id IN (SELECT image_id FROM revision_members),
               i.image_id IN (SELECT image_id FROM blocks) AND
               (coalesce((SELECT blocked FROM blocks b WHERE b.image_id = i.image_id AND b.wnid IS NULL
                          ORDER BY block_id DESC LIMIT 1), 0)
                OR NOT EXISTS (SELECT 1 FROM candidates c WHERE c.image_id = i.image_id AND NOT
                               coalesce((SELECT blocked FROM blocks b WHERE b.image_id = i.image_id
                                         AND b.wnid = c.wnid ORDER BY block_id DESC LIMIT 1), 0))),
               f.sha256 IS NOT NULL
        FROM images i LEFT JOIN files f ON f.image_id = i.image_id AND f.state = 'ok'
        WHERE candidate OR reference ORDER BY i.image_id
        """,
        {"image_id": "text", "candidate": "boolean", "reference": "boolean", "url": "text", "page_url": "text",
         "pixels": "integer", "sampled": "boolean", "blocked": "boolean", "has_bytes": "boolean"},
    )  # fmt: skip


def votes_cast(catalog: sqlite3.Connection, image_ids: Iterable[str]) -> dict[str, int]:
    """How many votes each of the images got, whatever they say."""
    query = (
        "SELECT (SELECT count(*) FROM votes WHERE image_id = ?1)"
        " + coalesce((SELECT sum(num_shown) FROM vote_counts WHERE image_id = ?1), 0)"
    )
    return {image_id: int(catalog.execute(query, (image_id,)).fetchone()[0]) for image_id in image_ids}


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
