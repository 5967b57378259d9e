"""A folder of images with captions, as shards of tar and Parquet: every file is in them or is counted with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from newtest.errors import PoolError
from newtest.files import bytes_of
from newtest.images import SUFFIXES, kind_of
from newtest.images.kinds import HEAD
from newtest.pool.importing.captions import Captions, Given, described, matched
from newtest.pool.importing.report import Imported
from newtest.pool.importing.rows import about_image, row_of, table_of
from newtest.pool.importing.tables import is_table, texts_of
from newtest.pool.importing.texts import checked_encoding, decoded
from newtest.pool.storage.claims import claim, seen_from
from newtest.pool.storage.location import LocalPlace, RemotePlace, place_of
from newtest.pool.storage.tar_writing import END, add
from newtest.pool.storage.tars import MAX_MEMBER
from newtest.reading.jsons import parse_json
from newtest.sets import Walked, walk

__all__ = ["Folder", "import_folder", "read_folder"]

_TEXTS = (".txt", ".text", ".caption")
_LONGEST = 1 << 20


@dataclass(frozen=True)
class Folder:
    """What lies in a folder: its images by path, and the facts about them."""

    root: Path
    walked: Walked
    captions: Captions
    encoding: str | None

    @cached_property
    def others(self) -> frozenset[str]:
        """The names of the files that are not images."""
        return frozenset(entry.name for entry in self.walked.census.left_out)

    def beside(self, image: str, suffixes: tuple[str, ...]) -> list[str]:
        """The files that carry the image's name and one of these suffixes: ``a.txt`` and ``a.jpg.txt`` of ``a.jpg``."""
        folder, slash, base = image.rpartition("/")
        stems = dict.fromkeys([f"{folder}{slash}{base.rpartition('.')[0] or base}", image])
        return [
            f"{stem}{suffix}" for stem in stems for suffix in suffixes if f"{stem}{suffix}" in self.others
        ]

    def left_out(self) -> list[tuple[str, str]]:
        """(file or folder, reason) of what is not an image and says nothing of any."""
        used = {name for image in self.walked.images for name in self.beside(image, (*_TEXTS, ".json"))}
        used |= {name for name in self.others if is_table(name)}
        census = self.walked.census
        rest = [(entry.name, entry.reason) for entry in census.left_out if entry.name not in used]
        reasons = dict.fromkeys(_TEXTS, "a caption without an image")
        rest += [(name, "a table without rows") for name in self.captions.empty]
        return [(name, reasons.get(Path(name).suffix, reason)) for name, reason in rest] + [
            (entry.name, entry.reason) for entry in census.folders
        ]

    def given(self, image: str) -> Given:
        """Captions and columns of an image: of tables, then of the text beside it, then of the ``.json`` beside it.

        Raises PoolError for text in an unknown encoding.
        """
        table = self.captions.given.get(image, Given())
        mine = Given(list(table.texts), dict(table.columns), table.repeated, list(table.differing))
        for name in self.beside(image, _TEXTS):
            path = self.root / name
            if path.stat().st_size > _LONGEST:
                raise PoolError(f"{path}: a caption of more than a mebibyte; shorten it or move it away")
            mine.add(texts_of(decoded(bytes_of(path), str(path), self.encoding).strip()))
        for name in self.beside(image, (".json",)):
            described(mine, self._said(self.root / name))
        return mine

    def _said(self, path: Path) -> Mapping[str, Any]:
        try:
            value = parse_json(decoded(bytes_of(path), str(path), self.encoding))
        except (ValueError, RecursionError) as error:
            raise PoolError(
                f"{path}: is beside an image and not JSON ({error}); mend it or move it away"
            ) from error
        return value if isinstance(value, dict) else {"json": value}


def _suffix(file: str, data: bytes) -> str:
    """The file's own suffix where it is an image's; else what its bytes are, for others know images by that."""
    own = Path(file).suffix.lower()
    kind = kind_of(data[:HEAD])
    return (own if own in SUFFIXES or kind is None else kind.suffixes[0])[1:]


def read_folder(root: Path, encoding: str | None = None) -> Folder:
    """Find the images of a folder and their captions. Raises PoolError where there are none."""
    encoding = checked_encoding(encoding)
    walked = walk(root)
    if not walked.images:
        if any(entry.name.endswith(".parquet") for entry in walked.census.left_out):
            raise PoolError(f"{root}: no loose images here but Parquet tables; they are a pool as they are")
        raise PoolError(f"{root}: no images here; {walked.census.says()}")
    tables = [entry.name for entry in walked.census.left_out if is_table(entry.name)]
    return Folder(root, walked, matched(root, walked.images, tables, encoding), encoding)


def import_folder(
    source: Path | Folder, out: str | Path, *, shard_rows: int = 10_000, encoding: str | None = None
) -> Iterator[Imported]:
    """Write the images of a folder as shards of tar and Parquet, one value per shard.

    A shard that is there already with the same content is written again to the same bytes; shards of an earlier run
    that are too many now are removed. Raises PoolError.
    """
    folder = source if isinstance(source, Folder) else read_folder(source, encoding)
    place = place_of(out)
    recipe = {"source": seen_from(place, str(folder.root)), "shard_rows": shard_rows}
    claim(place, "import-pool", recipe, "it was imported from another folder or in shards of another size")
    images = folder.walked.images
    names = []
    for number, first in enumerate(range(0, len(images), shard_rows)):
        names.append(f"{number:08d}")
        chunk = list(enumerate(images))[first : first + shard_rows]
        yield _import_shard(place, names[-1], folder, chunk)
    for entry in place.entries():
        stem, _, suffix = entry.name.partition(".")
        if suffix in ("tar", "parquet") and stem not in names and stem.isdigit() and len(stem) == 8:
            place.remove(entry.name)


def _import_shard(
    place: LocalPlace | RemotePlace, name: str, folder: Folder, chunk: list[tuple[int, str]]
) -> Imported:
    rows, left_out, differing = [], [], []
    without = repeated = 0
    with place.writing(f"{name}.tar") as path, open(path, "wb") as archive:
        for number, file in chunk:
            image = folder.root / file
            if image.stat().st_size > MAX_MEMBER:
                left_out.append((file, "too-many-bytes"))
                continue
            data = bytes_of(image)
            told, reason = about_image(data)
            if reason:
                left_out.append((file, reason))
                continue
            given = folder.given(file)
            row = row_of(f"{number:09d}", file, told, given.texts, given.columns)
            without += not given.texts
            repeated += given.repeated
            differing += [(file, name) for name in given.differing]
            members = {_suffix(file, data): data}
            if given.texts:
                members["txt"] = given.texts[0].encode()
            members["json"] = json.dumps(row, sort_keys=True, ensure_ascii=False, default=str).encode()
            for each, content in members.items():
                add(archive, f"{row['key']}.{each}", content)
            rows.append(row)
        archive.write(END)
    # The table comes last: a shard is there when its table is.
    with place.writing(f"{name}.parquet") as path:
        pq.write_table(table_of(rows), path)
    return Imported(name, len(rows), tuple(left_out), without, repeated, differing=tuple(differing))
