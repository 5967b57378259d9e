"""Importing votes or counts into a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from newtest.catalog import votes as catalog_votes
from newtest.catalog.votes import Batch, Origin
from newtest.digests import frame_digest
from newtest.errors import VotesError
from newtest.study import Study, now
from newtest.votes.checks import checked, form_of, refuse_twice
from newtest.votes.tables import VotesTable, read_votes, table_of

__all__ = ["ImportOptions", "ImportReport", "import_votes"]

Places = Sequence[tuple[int, str, str]]


@dataclass(frozen=True)
class ImportOptions:
    """``format_name`` is a key of ``tables.READERS``, None to go by the file's suffix.

    With ``skip_unknown`` rows about images that the study does not know are left out and counted, instead of
    being an error. With ``add_counts`` counts are of other people than the votes that a pair has already, and are
    added to them; without it they are an error, because nothing tells them from the same people counted again.
    """

    format_name: str | None = None
    origin: Origin = "imported"
    skip_unknown: bool = False
    add_counts: bool = False


@dataclass(frozen=True)
class ImportReport:
    """What an import did: ``added`` rows are new, ``known`` were stored before, ``skipped`` are about unknown
    images.
    """

    batch_id: str
    form: Literal["votes", "counts"]
    rows: int
    added: int
    known: int
    skipped: int


def import_votes(
    study: Study, source: Path | pd.DataFrame, options: ImportOptions | None = None
) -> ImportReport:
    """Import votes (image_id, wnid, worker_id, selected, ...) or counts (image_id, wnid, num_selected,
    num_shown).

    An image may be named by its id, or by what its source calls it where that is unambiguous. Worker ids are
    stored as a keyed hash; one that is a key of this study stays. Importing the same rows again adds nothing. All
    rows are stored or none. Raises VotesError for a table that cannot be true (see ``checks``), for unknown images
    (unless ``skip_unknown``), for a worker who has voted on the same pair in an earlier import, and for counts of
    a pair that has votes or counts (unless ``add_counts``).
    """
    options = options or ImportOptions()
    if isinstance(source, pd.DataFrame):
        table = table_of(source)
    else:
        table = read_votes(source, format_name=options.format_name)
    form = form_of(table)
    frame = checked(table)
    frame["image_id"] = _resolved(study, table, frame["image_id"])
    refuse_twice(table, frame)
    if form == "votes":
        named = frame["worker_id"].unique().tolist()
        ours = catalog_votes.workers_there(study.catalog, named)  # newtest votes export wrote the key itself
        keys = {worker: worker if worker in ours else study.worker_key(worker) for worker in named}
        frame["worker_id"] = frame["worker_id"].map(keys)
    # Rows in another order are the same votes: the fingerprint sorts them.
    batch_id = frame_digest(frame.sort_values(list(frame.columns[:3])))
    batch = Batch(batch_id, options.origin, f"{form} from {table.name}", now())
    with study.exclusive("votes"):
        added, skipped = _store(study, table, frame, batch, options)
    return ImportReport(batch_id, form, len(frame), added, len(frame) - added - skipped, skipped)


def _store(
    study: Study, table: VotesTable, frame: pd.DataFrame, batch: Batch, options: ImportOptions
) -> tuple[int, int]:
    """How many rows were added, and how many skipped."""
    catalog, votes = study.catalog, "worker_id" in frame.columns
    rows = zip(range(len(frame)), *(frame[column].tolist() for column in frame.columns), strict=True)
    with (catalog_votes.staged_votes if votes else catalog_votes.staged_counts)(catalog, rows):
        strangers = catalog_votes.unknown(catalog)
        if strangers and not options.skip_unknown:
            raise VotesError(_unknown(table, strangers))
        catalog_votes.drop_staged(catalog, (row for row, _, _ in strangers))
        if not votes:
            if not options.add_counts and (there := catalog_votes.counted(catalog, batch.batch_id)):
                raise VotesError(_counted(table, there))
            return catalog_votes.store_counts(catalog, batch), len(strangers)
        if again := catalog_votes.repeated(catalog, batch.batch_id):
            raise VotesError(_repeated(table, again))
        return catalog_votes.store_votes(catalog, batch), len(strangers)


def _resolved(study: Study, table: VotesTable, names: pd.Series[str]) -> pd.Series[str]:
    """Image ids for names that are ids of a source; names that nobody knows stay as they are."""
    unique = set(names)
    strange = unique - catalog_votes.images_there(study.catalog, unique)
    if not strange:
        return names
    by_source = catalog_votes.ids_by_source_id(study.catalog)
    for row, name in enumerate(names):
        if name in strange and len(by_source.get(name, ())) > 1:
            raise VotesError(
                f"{table.name}, {table.place(row)}: {name!r} names {len(by_source[name])} images of different sources; "
                "use the image ids of the study, nothing was imported"
            )
    return names.map({name: by_source[name][0] if name in by_source else name for name in unique})


def _unknown(table: VotesTable, places: Places) -> str:
    first = ", ".join(f"{image_id} ({wnid}, {table.place(row)})" for row, image_id, wnid in places[:3])
    return (
        f"{table.name}: {len(places)} of {len(table.frame)} rows are about pairs of image and class that the study "
        f"does not know, such as {first}; collect them or add their reference first, or leave them out with "
        "`skip_unknown`; nothing was imported"
    )


def _counted(table: VotesTable, places: Places) -> str:
    row, image_id, wnid = places[0]
    return (
        f"{table.name}, {table.place(row)}: image {image_id} has votes for class {wnid} from an earlier import "
        f"({len(places)} such rows); leave out what is counted already, or add the counts of other people with "
        "`add_counts`; nothing was imported"
    )


def _repeated(table: VotesTable, places: Places) -> str:
    row, image_id, wnid = places[0]
    return (
        f"{table.name}, {table.place(row)}: the same worker has voted on image {image_id} for class {wnid} in "
        f"an earlier import ({len(places)} such rows); leave them out, nothing was imported"
    )
