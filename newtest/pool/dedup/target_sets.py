"""A test set that a pool is compared with: its images, and their vectors by the pool's own encoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.encoder import Encoder, unit_rows
from newtest.clip.loading import encoder
from newtest.errors import ImageError, PoolError, UsageError
from newtest.images import SUFFIXES, shown
from newtest.pool.storage.canonical import chosen_column
from newtest.pool.storage.embedded_images import every_image
from newtest.pool.storage.image_types import ImageColumn
from newtest.pool.storage.location import Entry, LocalPlace, RemotePlace, place_of
from newtest.pool.storage.pool import TARS, Pool, Shard
from newtest.pool.storage.tars import MAX_MEMBER, samples
from newtest.pool.storage.vectors import VectorSource, parted
from newtest.reading.arrays import load_array
from newtest.sets import Census, is_foreign_path, walk

__all__ = ["census_of_set", "set_images", "something_read", "vectors_of_set"]

BATCH = 64


def set_images(address: str, image_col: str | None = None) -> Iterator[tuple[str, bytes | None]]:
    """(name, bytes) of a set's images in the order of their names: loose files, the samples of tars, and images
    inside Parquet tables; so releases in every format. ``address`` may also be one tar or table. Bytes are None where
    a sample or row has no image, or one that is too large: it is counted, not passed over. ``image_col`` names the
    column of images in tables that have several.

    Raises PoolError.
    """
    place, entries = _files(address)
    pool = Pool(place.url, (), place.url, image_col)
    found = False
    for entry in entries:
        for name, data in _images(pool, entry):
            found = found or data is not None
            yield name, data
    if not found:
        raise PoolError(
            f"{address}: no images here, neither loose nor in tars or Parquet tables; a set is a folder of images, a "
            "release, or an .npy of vectors"
        )


def census_of_set(address: str) -> Census | None:
    """What lies loose in a local folder, and what of it is not an image of the set; None where nothing does."""
    if "://" in address or not Path(address).is_dir():
        return None
    counted = walk(Path(address)).census
    if not counted.images:
        return None
    packed = [entry for entry in counted.left_out if _is_packed(entry.name)]
    rest = tuple(entry for entry in counted.left_out if entry not in packed)
    return replace(counted, files=counted.files - len(packed), left_out=rest)


def _files(address: str) -> tuple[LocalPlace | RemotePlace, list[Entry]]:
    """The files that are images or hold some. Of a local folder links are followed, and bytes tell what a name does
    not; elsewhere the suffix decides.
    """
    place = place_of(address)
    if not isinstance(place, LocalPlace):
        return place, [entry for entry in place.entries() if _is_wanted(entry.name)]
    if place.root.is_file():
        return LocalPlace(place.root.parent), [Entry(place.root.name, place.root.stat().st_size)]
    walked = walk(place.root) if place.root.is_dir() else None
    if walked is None:
        return place, place.entries()
    packed = (entry.name for entry in walked.census.left_out if _is_packed(entry.name))
    names = sorted([*walked.images, *packed])
    return place, [Entry(name, (place.root / name).stat().st_size) for name in names]


def _is_wanted(name: str) -> bool:
    is_image = PurePosixPath(name).suffix.lower() in SUFFIXES
    return (is_image and not is_foreign_path(name)) or _is_packed(name)


def _is_packed(name: str) -> bool:
    """Whether a file is a tar or a table that may hold images of the set."""
    return name.lower().endswith((*TARS, ".parquet")) and not is_foreign_path(name)


def _images(pool: Pool, entry: Entry) -> Iterator[tuple[str, bytes | None]]:
    """The images that a file is or holds."""
    name = entry.name.lower()
    shard = Shard(entry.name.rpartition(".")[0], entry, entry)
    if name.endswith(TARS):
        for sample in samples(pool, shard):
            several = sample.images if sample.image is None else []
            for suffix in several:  # each is an image of the set, whichever a pool would take
                yield f"{entry.name}:{sample.key}.{suffix}", sample.members[suffix]
            if not several:
                yield f"{entry.name}:{sample.key}", sample.image
    elif name.endswith(".parquet"):
        with pool.parquet(shard) as file:
            schema = file.schema_arrow
            said = pool.image_col and ImageColumn.named(pool.image_col, schema.names).name
            named = said if said in schema.names else None  # it may be the pool's alone
            column = chosen_column(schema, named, f"{pool.place.url}: {entry.name}")
            for image_name, image in every_image(file, column, pool.files(shard)) if column else ():
                yield f"{entry.name}:{image_name}", image.data
    elif entry.size > MAX_MEMBER:
        yield entry.name, None
    else:
        with pool.place.open(entry) as handle:
            yield entry.name, handle.read()


def vectors_of_set(
    source: VectorSource, address: str, model: str | None = None, image_col: str | None = None
) -> tuple[list[str], npt.NDArray[Any], int]:
    """Names, unit rows of the kind that ``source`` has for the pool, and how many images could not be read.

    ``model`` is the encoder as ``embed-pool`` was given it, where the layer's name is not enough (a
    checkpoint). Raises PoolError, also where not one image can be read, and UsageError.
    """
    names, vectors, unreadable = _vectors_of(source, address, model, image_col)
    something_read(address, len(names), unreadable)
    return names, vectors, unreadable


def something_read(address: str, read: int, unreadable: int) -> None:
    """Raises PoolError where not one image of a set can be compared: a pool must not pass for clean by that."""
    if not read:
        raise PoolError(
            f"{address}: none of its {unreadable} images could be read, so nothing can be compared with it"
        )


def _vectors_of(
    source: VectorSource, address: str, model: str | None, image_col: str | None
) -> tuple[list[str], npt.NDArray[Any], int]:
    if address.endswith(".npy"):
        try:
            vectors = load_array(Path(address))
        except (OSError, ValueError) as error:
            raise PoolError(f"{address}: cannot be read as an array of vectors ({error})") from error
        if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
            raise PoolError(
                f"{address}: vectors are (images, numbers), this array is {vectors.shape} of {vectors.dtype}"
            )
        vectors = vectors.astype(np.float32)
        there = np.flatnonzero(np.isfinite(vectors).all(axis=1) & vectors.any(axis=1))
        return [str(row) for row in there], unit_rows(vectors[there]), len(vectors) - len(there)
    if source.layer is None:
        raise UsageError(
            f"the pool's vectors are {source.said}: give each set as an .npy of the same encoder's vectors"
        )
    wanted = str(source.layer.config["encoder"])
    own, precision = parted(wanted)
    chosen = encoder(own if model in (None, wanted) else str(model), precision=precision)
    if chosen.name != wanted:
        raise UsageError(
            f"the pool was embedded with {wanted}, and `model` gives {chosen.name}; name the same"
        )
    prepared = source.layer.config.get("preprocessing")
    if prepared is not None and prepared != chosen.preprocessing:
        raise UsageError(
            f"the pool's pictures were prepared for {wanted} in another way ({prepared}) than this version of "
            f"open_clip does ({chosen.preprocessing}); run 'newtest embed-pool' again"
        )
    return _embedded(address, chosen, image_col, descriptors=source.column == "descriptor")


def _embedded(
    address: str, model: Encoder, image_col: str | None, *, descriptors: bool
) -> tuple[list[str], npt.NDArray[np.float32], int]:
    names: list[str] = []
    rows: list[npt.NDArray[np.float32]] = []
    waiting: list[npt.NDArray[np.uint8]] = []
    unreadable = 0

    def flush() -> None:
        if waiting:
            look = model.look(np.stack(waiting))
            rows.append(look.descriptors if descriptors and look.descriptors is not None else look.vectors)
            waiting.clear()

    for name, data in set_images(address, image_col):
        try:
            if data is None:
                raise ImageError("no-image", "no image")
            waiting.append(model.prepare(shown(data)))
        except ImageError:
            unreadable += 1
            continue
        names.append(name)
        if len(waiting) == BATCH:
            flush()
    flush()
    return names, np.concatenate(rows) if rows else np.empty((0, 1), np.float32), unreadable
