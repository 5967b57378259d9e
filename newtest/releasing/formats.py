"""The forms in which a release carries its images; in every one the bytes are those that were downloaded.

``imagefolder``  ``images/WNID/NAME``, with ``images/metadata.csv`` (``file_name``, ``label``, ids), which the
                 ``datasets`` library's image-folder loader reads; torchvision's ImageFolder reads it too
``webdataset``   ``shards/00000.tar``: ``KEY.jpg``, ``KEY.cls`` (the label), ``KEY.json``
``parquet``      ``parquet/test-00000-of-00001.parquet``: ``image`` as {bytes, path} and ``label``, with the features
                 that ``datasets`` writes into the schema, so that it loads images and class names

Labels count the wnids in their order.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.releasing.members import Member

__all__ = ["WRITERS", "Reader"]

Reader = Callable[[Member], bytes]
_SHARD = 1000  # members a tar or Parquet file


def _imagefolder(members: Sequence[Member], read: Reader, out: Path) -> list[str]:
    files = []
    for member in members:
        place = out / "images" / member.row.wnid / member.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(read(member))
        files.append(place.relative_to(out).as_posix())
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file_name", "label", "wnid", "image_id"])
    for member, file in zip(members, files, strict=True):
        writer.writerow([file.removeprefix("images/"), member.label, member.row.wnid, member.row.image_id])
    (out / "images" / "metadata.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    return files


def _webdataset(members: Sequence[Member], read: Reader, out: Path) -> list[str]:
    files = []
    used: set[str] = set()
    (out / "shards").mkdir(parents=True)
    for number, start in enumerate(range(0, len(members), _SHARD)):
        shard = f"shards/{number:05}.tar"
        with tarfile.open(
            out / shard, "w", format=tarfile.PAX_FORMAT
        ) as tar:  # plain ustar but for long names
            for member in members[start : start + _SHARD]:
                key = f"{member.row.wnid}/{member.stem}".replace(".", "_")  # a key ends at its first dot
                while key in used:  # "a.b" and "a_b"
                    key += "_"
                used.add(key)
                about = {"image_id": member.row.image_id, "wnid": member.row.wnid, "sha256": member.sha256}
                _add(tar, f"{key}{member.suffix.lower()}", read(member))
                _add(tar, f"{key}.cls", str(member.label).encode())
                _add(tar, f"{key}.json", json.dumps(about, sort_keys=True).encode())
                files.append(f"{shard}#{key}{member.suffix.lower()}")
    return files


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member without times and owners, so that the same content is the same tar."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _parquet(members: Sequence[Member], read: Reader, out: Path) -> list[str]:
    names = sorted({member.row.wnid for member in members})
    features = {
        "image": {"_type": "Image"},
        "label": {"names": names, "_type": "ClassLabel"},
        **{name: {"dtype": "string", "_type": "Value"} for name in ("wnid", "image_id", "sha256")},
    }
    text = ("wnid", "image_id", "sha256")
    schema = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("label", pa.int64()),
            *((name, pa.string()) for name in text),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    (out / "parquet").mkdir(parents=True)
    files, shards = [], -(-len(members) // _SHARD)
    for number in range(shards):
        file = f"parquet/test-{number:05}-of-{shards:05}.parquet"
        part = members[number * _SHARD : (number + 1) * _SHARD]
        with pq.ParquetWriter(out / file, schema) as writer:
            for start in range(0, len(part), 100):  # the row groups that datasets takes for images
                rows = [_parquet_row(member, read(member)) for member in part[start : start + 100]]
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        files += [file] * len(part)
    return files


def _parquet_row(member: Member, data: bytes) -> dict[str, object]:
    return {
        "image": {"bytes": data, "path": f"{member.row.wnid}/{member.name}"},
        "label": member.label,
        "wnid": member.row.wnid,
        "image_id": member.row.image_id,
        "sha256": member.sha256,
    }


WRITERS: Mapping[str, Callable[[Sequence[Member], Reader, Path], list[str]]] = {
    "imagefolder": _imagefolder,
    "webdataset": _webdataset,
    "parquet": _parquet,
}
"""Format name -> the function that writes it and gives each member's place in the release."""
