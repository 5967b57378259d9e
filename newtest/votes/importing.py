"""Importing votes or counts into a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from newtest.catalog import vote_stage
from newtest.catalog import votes as catalog_votes
from newtest.catalog.vote_stage import Found
from newtest.catalog.votes import Batch, Origin
from newtest.config import fingerprint
from newtest.digests import frame_digest
from newtest.errors import VotesError
from newtest.study import Study, now
from newtest.votes.checks import checked, form_of
from newtest.votes.tables import VotesTable, read_votes, table_of

__all__ = ["ImportConfig", "ImportReport", "import_votes"]

Form = Literal["votes", "counts"]
STAGED: Mapping[Form, Sequence[str]] = {
    "votes": ("image_id", "wnid", "worker", "selected", "hit_id", "submitted_at", "control"),
    "counts": ("image_id", "wnid", "num_selected", "num_shown"),
}
VOTED = "the same person has another vote on the image, from an earlier import"
INTEGERS = {"selected", "num_selected", "num_shown"}


@dataclass(frozen=True)
class ImportConfig:
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
    """What an import did: ``added`` rows are new, ``known`` were stored before or stood in the file before,
    ``skipped`` are about unknown images; together they are ``rows``.

    ``left_out`` counts the answers of another tool's file that gave no vote, by reason; ``warnings`` says what else a
    person must know of the file.
    """

    batch_id: str
    form: Literal["votes", "counts"]
    rows: int
    added: int
    known: int
    skipped: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def import_votes(
    study: Study, source: Path | pd.DataFrame | VotesTable, options: ImportConfig | None = None
) -> ImportReport:
    """Import votes (image_id, wnid, worker_id, selected, ...) or counts (image_id, wnid, num_selected,
    num_shown).

    An image may be named by its id, or by what its source calls it where that is unambiguous. Worker ids are
    stored as a keyed hash; one that is a key of this study stays. Importing the same rows again adds nothing. All
    rows are stored or none. Raises VotesError for a table that cannot be true (see ``checks``), for unknown images
    (unless ``skip_unknown``), for a worker who has voted otherwise on the same pair, and for counts of a pair that has
    votes or counts (unless ``add_counts``).
    """
    options = options or ImportConfig()
    if isinstance(source, VotesTable):
        table = source
    elif isinstance(source, pd.DataFrame):
        table = table_of(source)
    else:
        table = read_votes(source, format_name=options.format_name)
    form = form_of(table)
    stage = vote_stage.staged_votes if form == "votes" else vote_stage.staged_counts
    with study.exclusive("votes"), stage(study.catalog, _rows(study, table, form)):
        _resolve(study, table)
        vote_stage.sort_stage(study.catalog)
        batch_id, rows, again = _fingerprint(study, table, form)
        batch = Batch(batch_id, options.origin, f"{form} from {table.name}", now())
        added, skipped, others = _store(study, table, batch, options, rows + again)
    left_out = {**table.left_out, **({VOTED: others} if others else {})}
    all_rows = rows + again - others
    known = all_rows - added - skipped
    return ImportReport(batch_id, form, all_rows, added, known, skipped, left_out, tuple(table.warnings))


def _rows(study: Study, table: VotesTable, form: Form) -> Iterator[tuple[object, ...]]:
    """The checked rows of a table, numbered, with the keys of workers. Raises VotesError."""
    keys: dict[str, str] = {}
    row = -1
    for chunk in table.chunks():
        frame = checked(chunk, form)
        if form == "votes":
            fresh = [worker for worker in frame["worker_id"].unique() if worker not in keys]
            # newtest votes export wrote the key itself
            ours = catalog_votes.workers_there(study.catalog, fresh)
            keys |= {worker: worker if worker in ours else study.worker_key(worker) for worker in fresh}
            frame["worker_id"] = frame["worker_id"].map(keys)
        columns = [frame[column].tolist() for column in frame.columns]
        for row, values in enumerate(zip(*columns, strict=True), start=chunk.start):
            yield row, *values
    if row < 0:
        raise VotesError(f"{table.name}: there are no rows in it; nothing was imported")


def _fingerprint(study: Study, table: VotesTable, form: Form) -> tuple[str, int, int]:
    """(fingerprint of the staged rows, their number, number of those that stood there before). The stage is sorted, so
    rows in another order are the same votes. Raises VotesError for two rows that contradict each other."""
    columns = STAGED[form]
    keys = 3 if form == "votes" else 2
    digests, count, again = [], 0, 0
    last: tuple[object, ...] = ()
    for rows in vote_stage.staged_rows(study.catalog, ", ".join(columns)):
        fresh, same = [], []
        for place, row, *values in rows:
            if tuple(values[:keys]) != last[:keys]:
                fresh.append(values)
            elif form == "votes" and tuple(values) == last:
                same.append(int(str(place)))
            else:
                raise VotesError(_twice(table, int(str(row)), values, form))
            last = tuple(values)
        vote_stage.drop_staged_rows(study.catalog, same)
        names = ["worker_id" if name == "worker" else name for name in columns]
        frame = pd.DataFrame(fresh, columns=names, dtype=object)
        digests.append(frame_digest(frame.astype(dict.fromkeys(INTEGERS & set(names), "int64"))))
        count, again = count + len(fresh), again + len(same)
    return digests[0] if len(digests) == 1 else fingerprint("votes", digests), count, again


def _store(
    study: Study, table: VotesTable, batch: Batch, options: ImportConfig, rows: int
) -> tuple[int, int, int]:
    """Of so many rows: how many were added, how many skipped, and how many are second votes that do not count."""
    catalog, form = study.catalog, form_of(table)
    strangers = vote_stage.unknown(catalog)
    if strangers.count and not options.skip_unknown:
        raise VotesError(_unknown(table, strangers, rows))
    if strangers.count:
        vote_stage.drop_unknown(catalog)
    if form == "counts":
        if not options.add_counts and (there := vote_stage.counted(catalog, batch.batch_id)).count:
            raise VotesError(_counted(table, there))
        return catalog_votes.store_counts(catalog, batch), strangers.count, 0
    if (again := vote_stage.repeated(catalog, batch.batch_id)).count:
        if not table.first_counts:
            raise VotesError(_repeated(table, again))
        vote_stage.drop_repeated(catalog, batch.batch_id)
    return catalog_votes.store_votes(catalog, batch), strangers.count, again.count


def _resolve(study: Study, table: VotesTable) -> None:
    """Put image ids in the place of names that sources use; names that nobody knows stay as they are."""
    strange = vote_stage.strange_images(study.catalog)
    by_source = catalog_votes.ids_by_source_id(study.catalog, strange) if strange else {}
    doubtful = [name for name, ids in by_source.items() if len(ids) > 1]
    if (found := vote_stage.first_named(study.catalog, doubtful)) is not None:
        row, name, _ = found
        raise VotesError(
            f"{table.name}, {table.place(row)}: {name!r} names {len(by_source[name])} images of different sources; "
            "use the image ids of the study, nothing was imported"
        )
    if by_source:
        vote_stage.name_images(study.catalog, {name: ids[0] for name, ids in by_source.items()})


def _twice(table: VotesTable, row: int, values: Sequence[object], form: Form) -> str:
    what = "the same worker has voted before on" if form == "votes" else "there were counts before for"
    return (
        f"{table.name}, {table.place(row)}: {what} image {values[0]}, class {values[1]}; keep one row, nothing was "
        "imported"
    )


def _unknown(table: VotesTable, found: Found, rows: int) -> str:
    first = ", ".join(f"{image_id} ({wnid}, {table.place(row)})" for row, image_id, wnid in found.first)
    return (
        f"{table.name}: {found.count} of {rows} rows are about pairs of image and class that the study "
        f"does not know, such as {first}; collect them or add their reference first, or leave them out with "
        "`skip_unknown`; nothing was imported"
    )


def _counted(table: VotesTable, found: Found) -> str:
    row, image_id, wnid = found.first[0]
    return (
        f"{table.name}, {table.place(row)}: image {image_id} has votes for class {wnid} from an earlier import "
        f"({found.count} such rows); leave out what is counted already, or add the counts of other people with "
        "`add_counts`; nothing was imported"
    )


def _repeated(table: VotesTable, found: Found) -> str:
    row, image_id, wnid = found.first[0]
    return (
        f"{table.name}, {table.place(row)}: the same worker has voted on image {image_id} for class {wnid} in "
        f"an earlier import ({found.count} such rows); leave them out, nothing was imported"
    )
