"""Tables for tars that have none: what WebDataset's libraries make of them, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.errors import PoolError
from newtest.images import SUFFIXES
from newtest.pool.importing.captions import Given, described
from newtest.pool.importing.report import Imported
from newtest.pool.importing.rows import about_image, row_of, table_of
from newtest.pool.importing.tables import texts_of
from newtest.pool.importing.texts import checked_encoding, decoded
from newtest.pool.storage.claims import LAYERS
from newtest.pool.storage.location import Entry, place_of
from newtest.pool.storage.pool import TARS, Pool, Shard, stem_of
from newtest.pool.storage.tars import Sample, samples
from newtest.sets import walk

__all__ = ["holds_tars", "import_tars", "is_tar", "left_beside", "table_of_tar"]

_TEXTS = ("txt", "text", "caption")


def is_tar(name: str) -> bool:
    """Whether a file's name is that of a tar, compressed or not."""
    return name.endswith(TARS)


def holds_tars(folder: Path) -> bool:
    """Whether a folder is one of tars: some lie right in it, or some further below and no image does anywhere."""
    if any(is_tar(path.name) and path.is_file() for path in folder.iterdir()):
        return True
    deeper = any(is_tar(entry.name) for entry in place_of(folder).entries())
    return deeper and not walk(folder).images


def import_tars(address: str | Path, *, encoding: str | None = None) -> Iterator[Imported]:
    """Write a table beside each tar of a pool that has none; one value per tar.

    Raises PoolError for a tar that is damaged, that holds a sample's members apart or one of them twice, and for one in
    which names with dots put several photos into one sample.
    """
    encoding = checked_encoding(encoding)
    place = place_of(address)
    entries = place.entries()
    names = {entry.name for entry in entries}
    tars = [entry for entry in entries if is_tar(entry.name)]
    if not tars:
        raise PoolError(f"{address}: there are no tars here")
    for tar in tars:
        stem = stem_of(tar)
        if f"{stem}.parquet" in names:
            continue
        pool = Pool(str(address), (), f"{place.url}/{LAYERS}")
        shard = Shard(stem, Entry(f"{stem}.parquet", 0), tar)
        table, imported = table_of_tar(pool, shard, encoding)
        with place.writing(shard.table.name) as path:
            pq.write_table(table, path)
        yield imported


def table_of_tar(
    pool: Pool, shard: Shard, encoding: str | None = None, *, counted: bool = False
) -> tuple[pa.Table, Imported]:
    """The table of a shard's tar, a row per sample, and what was left out. Raises PoolError as ``import_tars`` does.

    With ``counted`` members that cannot be read stop nothing. A sample with a broken ``.json`` is left out, since
    nobody knows its uid or whether it opted out; a caption in another encoding is missing in the table alone.
    """
    assert shard.tar is not None
    tar = shard.tar.name
    rows = []
    left_out: list[tuple[str, str]] = []
    differing: list[tuple[str, str]] = []
    without = repeated = imageless = 0
    for sample in samples(pool, shard, passed=partial(_passed, left_out)):
        where = f"{pool.place.url}: {tar}: {sample.key}"
        _require_one_photo(sample, where)
        if counted and _is_broken(sample, where):
            left_out.append((f"{sample.key}.json", "a sample with a broken .json"))
            continue
        image, reason = about_image(sample.image)
        reason = sample.why if sample.image is None else reason
        given = _given(sample, where, encoding, left_out if counted else None)
        left_out += [(f"{sample.key}.{suffix}", "too-many-bytes") for suffix in sample.too_big]
        if reason is not None:
            imageless += 1
            left_out.append((sample.key, reason))
        rows.append(row_of(sample.key, tar, image, given.texts, given.columns))
        without += not given.texts
        repeated += given.repeated
        differing += [(sample.key, name) for name in given.differing]
    imported = Imported(
        shard.name, len(rows), tuple(left_out), without, repeated, imageless, tuple(differing)
    )
    return table_of(rows), imported


def left_beside(address: str | Path) -> list[tuple[str, str]]:
    """(file, reason) of what lies beside the tars of a folder and is neither one, nor a table or vectors of one."""
    names = [entry.name for entry in place_of(address).entries()]
    stems = {name.removesuffix(suffix) for name in names for suffix in TARS if name.endswith(suffix)}
    return [
        (name, _reason_beside(name))
        for name in names
        if not is_tar(name) and not (name.endswith((".parquet", ".npz")) and name.rpartition(".")[0] in stems)
    ]


def _reason_beside(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    loose = suffix.lower() in SUFFIXES
    return "a loose image beside tars" if loose else f"no tar: {suffix}" if suffix else "no tar"


def _passed(left_out: list[tuple[str, str]], name: str, reason: str) -> None:
    left_out.append((name, reason))


def _require_one_photo(sample: Sample, where: str) -> None:
    dotted = [suffix for suffix in sample.images if "." in suffix]
    if len(dotted) > 1 and dotted == sample.images:
        names = ", ".join(f"{sample.key}.{suffix}" for suffix in dotted[:3])
        raise PoolError(
            f"{where}: WebDataset's key of a member ends at the first dot of its name, so {len(dotted)} photos ({names}"
            f"{', ...' if len(dotted) > 3 else ''}) are one sample; write the tar again with names that "
            "have no dot before the suffix"
        )


def _is_broken(sample: Sample, where: str) -> bool:
    try:
        sample.said(where)
    except PoolError:
        return True
    return False


def _given(
    sample: Sample, where: str, encoding: str | None, left_out: list[tuple[str, str]] | None = None
) -> Given:
    """All captions: of the text members in the tar's order, then of the ``.json``; and the ``.json``'s columns.

    A caption in another encoding is told to ``left_out`` where there is one. Raises PoolError.
    """
    given = Given()
    for suffix, data in sample.members.items():
        if suffix.rpartition(".")[2] in _TEXTS:
            try:
                given.add(texts_of(decoded(data, f"{where}.{suffix}", encoding)))
            except PoolError:
                if left_out is None:
                    raise
                left_out.append((f"{sample.key}.{suffix}", "a caption that is not UTF-8"))
    described(given, sample.said(where))
    return given
