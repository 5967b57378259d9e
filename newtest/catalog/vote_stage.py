"""New votes and counts on their way into the catalog.

They are staged in a temporary table on the disk and sorted there once, so that a file of millions is checked by joins
in the order of the catalog's own tables, and needs no more memory than a small one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from newtest.catalog.connections import whole

__all__ = [
    "Found",
    "counted",
    "drop_repeated",
    "drop_staged_rows",
    "drop_unknown",
    "first_named",
    "name_images",
    "repeated",
    "sort_stage",
    "staged_counts",
    "staged_rows",
    "staged_votes",
    "strange_images",
    "unknown",
]

Place = tuple[int, str, str]
SOME = 3
CHUNK = 100_000
CACHE_KIB = 65_536
"""Memory for pages while votes are stored: what is inserted by worker touches a page per worker."""


@dataclass(frozen=True)
class Found:
    """How many staged rows there are of a kind, and the first of them by (row, image_id, wnid)."""

    count: int
    first: Sequence[Place]


@contextmanager
def staged_votes(catalog: sqlite3.Connection, rows: Iterable[Sequence[object]]) -> Iterator[None]:
    """Stage (row, image_id, wnid, worker, selected, hit_id, submitted_at, control) while the block runs."""
    with _staged(
        catalog, "worker TEXT, selected INTEGER, hit_id TEXT, submitted_at TEXT, control TEXT", rows
    ):
        yield


@contextmanager
def staged_counts(catalog: sqlite3.Connection, rows: Iterable[Sequence[object]]) -> Iterator[None]:
    """Stage (row, image_id, wnid, num_selected, num_shown) while the block runs."""
    columns = "num_selected INTEGER, num_shown INTEGER, control TEXT"
    with _staged(catalog, columns, ((*row, None) for row in rows)):
        yield


def strange_images(catalog: sqlite3.Connection) -> list[str]:
    """The staged names of images that are not any image's id, sorted."""
    rows = catalog.execute(
        "SELECT DISTINCT image_id FROM temp.incoming i"
        " WHERE NOT EXISTS (SELECT 1 FROM images g WHERE g.image_id = i.image_id) ORDER BY image_id"
    )
    return [row[0] for row in rows]


def name_images(catalog: sqlite3.Connection, names: Mapping[str, str]) -> None:
    """Put ids in the place of staged names."""
    catalog.execute("CREATE TEMP TABLE renamed (name TEXT PRIMARY KEY, image_id TEXT) WITHOUT ROWID")
    catalog.executemany("INSERT INTO temp.renamed VALUES (?, ?)", names.items())
    catalog.execute(
        "UPDATE temp.incoming SET image_id = (SELECT r.image_id FROM temp.renamed r WHERE r.name = incoming.image_id)"
        " WHERE image_id IN (SELECT name FROM temp.renamed)"
    )
    catalog.execute("DROP TABLE temp.renamed")


def first_named(catalog: sqlite3.Connection, names: Iterable[str]) -> Place | None:
    """The first staged row with one of these names."""
    found = [
        row
        for name in names
        if (
            row := catalog.execute(
                "SELECT row, image_id, wnid FROM temp.incoming WHERE image_id = ? ORDER BY row LIMIT 1",
                (name,),
            ).fetchone()
        )
    ]
    return min((int(row), image_id, wnid) for row, image_id, wnid in found) if found else None


def sort_stage(catalog: sqlite3.Connection) -> None:
    """Put the staged rows in the order of (image_id, wnid, worker), those of one person and pair in the file's."""
    columns = [row[1] for row in catalog.execute("PRAGMA temp.table_info(incoming)")]
    keys = "image_id, wnid, worker, row" if "worker" in columns else "image_id, wnid, row"
    catalog.execute(f"CREATE TEMP TABLE ordered AS SELECT * FROM temp.incoming ORDER BY {keys}")
    catalog.execute("DROP TABLE temp.incoming")
    catalog.execute("ALTER TABLE temp.ordered RENAME TO incoming")


def staged_rows(catalog: sqlite3.Connection, columns: str) -> Iterator[list[tuple[object, ...]]]:
    """(place in the stage, row, and the named columns) of all staged rows, in chunks, in the order of the stage."""
    cursor = catalog.cursor()
    cursor.row_factory = None
    cursor.execute(f"SELECT rowid, row, {columns} FROM temp.incoming ORDER BY rowid")
    while rows := cursor.fetchmany(CHUNK):
        yield rows


def drop_staged_rows(catalog: sqlite3.Connection, places: Iterable[int]) -> None:
    """Take rows out of the sorted stage, by their places there."""
    catalog.executemany("DELETE FROM temp.incoming WHERE rowid = ?", ((place,) for place in places))


_UNKNOWN = (
    "NOT EXISTS (SELECT 1 FROM candidates c WHERE c.image_id = i.image_id AND c.wnid = i.wnid)"
    " AND NOT EXISTS (SELECT 1 FROM reference_members m WHERE m.image_id = i.image_id AND m.wnid = i.wnid)"
    " AND NOT EXISTS (SELECT 1 FROM second_labels s WHERE s.image_id = i.image_id AND s.wnid = i.wnid)"
    " AND NOT (i.control IS 'negative' AND EXISTS (SELECT 1 FROM images g WHERE g.image_id = i.image_id))"
)


def unknown(catalog: sqlite3.Connection) -> Found:
    """Staged rows that are neither candidates, nor members of a reference, nor proposed second labels.

    A negative control has a class that is not its image's own: there the image must be known, no more.
    """
    return _found(catalog, f"FROM temp.incoming i WHERE {_UNKNOWN}")


def drop_unknown(catalog: sqlite3.Connection) -> None:
    """Take what ``unknown`` found out of the stage."""
    catalog.execute(f"DELETE FROM temp.incoming AS i WHERE {_UNKNOWN}")


_REPEATED = (
    "JOIN votes v USING (image_id, wnid, worker) WHERE v.batch_id <> ?"
    " AND NOT (v.selected = i.selected AND v.hit_id IS i.hit_id AND v.submitted_at IS i.submitted_at"
    " AND v.control IS i.control)"
)


def repeated(catalog: sqlite3.Connection, batch_id: str) -> Found:
    """Staged rows whose worker has given another vote on the pair, in another batch.

    The very same vote (equal in every column) is no second vote but a file that overlaps an earlier one: it is not
    listed, and storing it again changes nothing.
    """
    return _found(catalog, f"FROM temp.incoming i {_REPEATED}", (batch_id,))


def drop_repeated(catalog: sqlite3.Connection, batch_id: str) -> None:
    """Take what ``repeated`` found out of the stage."""
    catalog.execute(
        f"DELETE FROM temp.incoming WHERE rowid IN (SELECT i.rowid FROM temp.incoming i {_REPEATED})",
        (batch_id,),
    )


def counted(catalog: sqlite3.Connection, batch_id: str) -> Found:
    """Staged rows of new counts whose pair has other counts, or single real votes."""
    return _found(
        catalog,
        "FROM temp.incoming i WHERE NOT EXISTS (SELECT 1 FROM vote_counts c"
        " WHERE c.image_id = i.image_id AND c.wnid = i.wnid AND c.batch_id = ?)"
        " AND (EXISTS (SELECT 1 FROM vote_counts c WHERE c.image_id = i.image_id AND c.wnid = i.wnid)"
        " OR EXISTS (SELECT 1 FROM votes v JOIN vote_batches b USING (batch_id)"
        " WHERE v.image_id = i.image_id AND v.wnid = i.wnid AND b.origin <> 'simulated'))",
        (batch_id,),
    )


def _found(catalog: sqlite3.Connection, where: str, parameters: Sequence[object] = ()) -> Found:
    count = int(catalog.execute(f"SELECT count(*) {where}", parameters).fetchone()[0])
    if not count:
        return Found(0, ())
    rows = catalog.execute(
        f"SELECT i.row, i.image_id, i.wnid {where} ORDER BY i.row LIMIT {SOME}", parameters
    )
    return Found(count, [(int(row), image_id, wnid) for row, image_id, wnid in rows])


@contextmanager
def _staged(catalog: sqlite3.Connection, columns: str, rows: Iterable[Sequence[object]]) -> Iterator[None]:
    places = ", ".join("?" * (columns.count(",") + 4))
    before = catalog.execute("PRAGMA cache_size").fetchone()[0]
    catalog.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    try:
        with whole(catalog, "BEGIN"):  # writes to the temporary database alone, so nobody waits for it
            catalog.execute("DROP TABLE IF EXISTS temp.incoming")
            catalog.execute(
                f"CREATE TEMP TABLE incoming (row INTEGER PRIMARY KEY, image_id TEXT, wnid TEXT, {columns})"
            )
            catalog.executemany(f"INSERT INTO temp.incoming VALUES ({places})", rows)
        yield
    finally:
        catalog.execute("DROP TABLE IF EXISTS temp.incoming")
        catalog.execute(f"PRAGMA cache_size = {before}")
