"""What planned HITs ask, and the answers to all but the usual question.

They ask which images show the class, which of several classes each image shows, or which pairs show one photo.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from newtest.catalog.crowd import HitImage, hit_images

__all__ = [
    "PAIR_VOTES",
    "Asked",
    "HitPair",
    "Kind",
    "PairCount",
    "PairNeed",
    "asked_of",
    "kind_of",
    "known_pairs",
    "pair_counts",
    "pairs_in_need",
    "store_choices",
    "store_pair_answers",
    "store_question",
]

Kind = Literal["select", "which", "pairs"]


@dataclass(frozen=True)
class HitPair:
    """A pair of a HIT, ``image_a < image_b``; ``control`` is what is known of it: 'same', 'different', or None."""

    image_a: str
    image_b: str
    control: str | None = None


@dataclass(frozen=True)
class Asked:
    """What a planned HIT asks about, in the order of its page."""

    kind: Kind
    images: tuple[HitImage, ...]
    """Images that are asked about; of pairs there are none."""
    options: tuple[str, ...] = ()
    """The classes that each image may show."""
    own: int = 0
    """The number of the HIT's own class among them; 0 where none are offered."""
    pairs: tuple[HitPair, ...] = ()

    def __len__(self) -> int:
        """How many answers a whole assignment has."""
        return len(self.pairs) or len(self.images)

    @property
    def roles(self) -> tuple[str, ...]:
        """The role of each image or pair; a known pair is a control."""
        known = {"same": "positive", "different": "negative", None: "candidate"}
        return tuple(known[pair.control] for pair in self.pairs) or tuple(i.role for i in self.images)


@dataclass(frozen=True)
class PairNeed:
    """A close pair that nobody has judged; ``num_shown`` are the votes that it has or will have."""

    image_a: str
    image_b: str
    wnid: str
    num_shown: int


@dataclass(frozen=True)
class PairCount:
    """Votes on a pair. ``over``: no more are coming from what was planned."""

    image_a: str
    image_b: str
    num_same: int
    num_shown: int
    over: bool


def asked_of(catalog: sqlite3.Connection, hit_id: str) -> Asked:
    """What a planned HIT asks about."""
    images = tuple(i for i in hit_images(catalog, hit_id) if i.role not in ("example", "pair"))
    kind = kind_of(catalog, hit_id)
    if kind == "select":
        return Asked(kind, images)
    options = catalog.execute(
        "SELECT o.wnid, o.wnid = h.wnid FROM hit_options o JOIN hits h USING (hit_id) WHERE hit_id = ?"
        " ORDER BY position",
        (hit_id,),
    ).fetchall()
    pairs = catalog.execute(
        "SELECT image_a, image_b, control FROM hit_pairs WHERE hit_id = ? ORDER BY position", (hit_id,)
    )
    own = next((n for n, (_, is_own) in enumerate(options, 1) if is_own), 0)
    return Asked(kind, images, tuple(one[0] for one in options), own, tuple(HitPair(*p) for p in pairs))


def kind_of(catalog: sqlite3.Connection, hit_id: str) -> Kind:
    """What a planned HIT asks."""
    row = catalog.execute("SELECT kind FROM hit_questions WHERE hit_id = ?", (hit_id,)).fetchone()
    return "select" if row is None else cast("Kind", row[0])


def store_question(
    catalog: sqlite3.Connection, hit_id: str, kind: Kind, options: Sequence[str], pairs: Sequence[HitPair]
) -> None:
    """Keep what a new HIT asks, where it is not which images show the class. Call inside a transaction."""
    catalog.execute("INSERT INTO hit_questions (hit_id, kind) VALUES (?, ?)", (hit_id, kind))
    catalog.executemany(
        "INSERT INTO hit_options (hit_id, position, wnid) VALUES (?, ?, ?)",
        [(hit_id, n, wnid) for n, wnid in enumerate(options, 1)],
    )
    catalog.executemany(
        "INSERT INTO hit_pairs (hit_id, position, image_a, image_b, control) VALUES (?, ?, ?, ?, ?)",
        [(hit_id, n, p.image_a, p.image_b, p.control) for n, p in enumerate(pairs, 1)],
    )


def store_choices(catalog: sqlite3.Connection, assignment_id: str, chosen: Iterable[tuple[str, str]]) -> None:
    """Keep which classes somebody chose for which images: (image_id, wnid). Call inside a transaction."""
    catalog.executemany(
        "INSERT OR IGNORE INTO choices (assignment_id, image_id, wnid) VALUES (?, ?, ?)",
        [(assignment_id, *one) for one in chosen],
    )


def store_pair_answers(
    catalog: sqlite3.Connection, assignment_id: str, answers: Iterable[tuple[int, str, int | None]]
) -> None:
    """Keep what somebody said of each pair: (position, value, milliseconds). Call inside a transaction."""
    catalog.executemany(
        "INSERT OR IGNORE INTO pair_answers (assignment_id, position, value, milliseconds) VALUES (?, ?, ?, ?)",
        [(assignment_id, *one) for one in answers],
    )


PAIR_VOTES = """
    SELECT p.image_a, p.image_b, p.control, a.worker, w.value = 'yes' AS same
    FROM pair_answers w JOIN assignments a USING (assignment_id)
    JOIN hit_pairs p ON p.hit_id = a.hit_id AND p.position = w.position
    WHERE w.value <> 'unseen' AND a.explicit = 1 AND a.status <> 'rejected' AND a.market <> 'sandbox'
"""
"""A row per vote on a pair, without answers of rejected assignments and of sandboxes."""


def pairs_in_need(catalog: sqlite3.Connection, votes: int) -> list[PairNeed]:
    """Close pairs without a verdict that have (or will have) fewer than ``votes`` votes, and whose bytes are here;
    by ids. The class is one of the first image's."""
    rows = catalog.execute(
        f"""
        WITH close AS (SELECT DISTINCT image_a, image_b FROM neighbours), votes AS ({PAIR_VOTES}), latest AS (
            SELECT image_a, image_b, max(verdict_id) AS verdict_id FROM verdicts GROUP BY image_a, image_b)
        SELECT * FROM (
            SELECT c.image_a, c.image_b, coalesce(
                (SELECT min(wnid) FROM candidates d WHERE d.image_id = c.image_a),
                (SELECT min(m.wnid) FROM reference_members m JOIN classes USING (wnid) WHERE m.image_id = c.image_a),
                (SELECT min(wnid) FROM candidates d WHERE d.image_id = c.image_b)) AS wnid,
            (SELECT count(DISTINCT worker) FROM votes v WHERE v.image_a = c.image_a AND v.image_b = c.image_b)
            + (SELECT coalesce(sum(max(0, h.assignments - (SELECT count(*) FROM assignments a
                    WHERE a.hit_id = h.hit_id AND a.market <> 'sandbox'))), 0)
                FROM hit_pairs p JOIN hits h USING (hit_id)
                WHERE p.image_a = c.image_a AND p.image_b = c.image_b AND p.control IS NULL
                AND NOT EXISTS (SELECT 1 FROM publications u WHERE u.hit_id = h.hit_id
                    AND u.closed_at IS NOT NULL AND u.market <> 'sandbox')) AS num_shown
            FROM close c WHERE NOT EXISTS (SELECT 1 FROM latest l JOIN verdicts v USING (verdict_id)
                WHERE l.image_a = c.image_a AND l.image_b = c.image_b AND v.duplicate IS NOT NULL)
            AND EXISTS (SELECT 1 FROM files f WHERE f.image_id = c.image_a AND f.state = 'ok')
            AND EXISTS (SELECT 1 FROM files f WHERE f.image_id = c.image_b AND f.state = 'ok'))
        WHERE num_shown < ? AND wnid IS NOT NULL ORDER BY image_a, image_b
        """,
        (votes,),
    )
    return [PairNeed(*row) for row in rows]


def known_pairs(catalog: sqlite3.Connection) -> list[HitPair]:
    """Pairs that somebody has judged, whose bytes are here, as controls; by ids. What a rule or a vote decided is not a
    control."""
    rows = catalog.execute(
        "SELECT image_a, image_b, iif(duplicate, 'same', 'different') FROM verdicts v WHERE verdict_id IN"
        " (SELECT max(verdict_id) FROM verdicts GROUP BY image_a, image_b) AND duplicate IS NOT NULL"
        " AND reviewer NOT LIKE 'automatic:%' AND reviewer NOT LIKE 'crowd:%'"
        " AND EXISTS (SELECT 1 FROM files f WHERE f.image_id = v.image_a AND f.state = 'ok')"
        " AND EXISTS (SELECT 1 FROM files f WHERE f.image_id = v.image_b AND f.state = 'ok')"
        " ORDER BY image_a, image_b"
    )
    return [HitPair(*row) for row in rows]


def pair_counts(catalog: sqlite3.Connection) -> list[PairCount]:
    """Votes on pairs that were asked about (controls apart), by ids."""
    rows = catalog.execute(
        f"""
        SELECT v.image_a, v.image_b, sum(v.same), count(*), NOT EXISTS (
            SELECT 1 FROM hit_pairs p JOIN hits h USING (hit_id)
            WHERE p.image_a = v.image_a AND p.image_b = v.image_b AND p.control IS NULL
            AND h.assignments > (SELECT count(*) FROM assignments a
                WHERE a.hit_id = h.hit_id AND a.market <> 'sandbox')
            AND NOT EXISTS (SELECT 1 FROM publications u WHERE u.hit_id = h.hit_id AND u.closed_at IS NOT NULL))
        FROM ({PAIR_VOTES}) v WHERE v.control IS NULL GROUP BY v.image_a, v.image_b ORDER BY v.image_a, v.image_b
        """
    )
    return [PairCount(row[0], row[1], int(row[2]), int(row[3]), bool(row[4])) for row in rows]
