"""The forms in which a release carries its images; in every one the bytes are those that were downloaded.

``imagefolder``  ``images/WNID/NAME``, with ``images/metadata.parquet`` (``file_name``, ``label``, ids, votes), which
                 the image-folder loader of ``datasets`` reads; torchvision's ImageFolder reads the folder too
``webdataset``   ``shards/00000.tar``: ``KEY.jpg``, ``KEY.cls`` (the label), ``KEY.json`` (ids, votes). All images of a
                 release have one suffix there, for ``datasets`` refuses samples whose members differ; where the kinds
                 differ it is ``.jpg``, and readers tell the kind by the bytes
``parquet``      ``parquet/test-00000-of-00001.parquet``: ``image`` as {bytes, path}, ``label``, ids and votes, with the
                 features that ``datasets`` writes into the schema, so that it loads images and class names
``csv``          ``data.csv``: ``path``, ``label``, ``class``, ids and votes; the images lie in ``images/``, as above
``fiftyone``     ``fiftyone/labels.json`` beside ``fiftyone/data/``: FiftyOne's image classification format, with wnid
                 and votes as attributes of the label; ``metadata.parquet`` is for ``datasets``

``ids``          no images: the manifest names them by id, hash and address (``without_bytes``)

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
from newtest.spreadsheets import guarded

__all__ = ["IDS", "WRITERS", "Reader", "tar_suffix"]

Reader = Callable[[Member], bytes]
IDS = "ids"
"""The format of a set without images."""
_SHARD = 1000  # members per tar or Parquet file
_VOTE_TYPES = {"num_selected": "int64", "num_shown": "int64", "frequency": "float64"}
_VOTES = tuple(_VOTE_TYPES)


def tar_suffix(members: Sequence[Member]) -> str:
    """The suffix of all images in the tars, with its dot: their own where it is one, else ``.jpg``."""
    suffixes = {member.suffix.lower() for member in members}
    return suffixes.pop() if len(suffixes) == 1 else ".jpg"


def _imagefolder(members: Sequence[Member], labels: Sequence[str], read: Reader, out: Path) -> list[str]:
    files = _loose(members, read, out)
    _write_metadata(members, labels, [file.removeprefix("images/") for file in files], out / "images")
    return files


def _write_metadata(
    members: Sequence[Member], labels: Sequence[str], names: Sequence[str], folder: Path
) -> None:
    """``metadata.parquet``: what the image-folder loader of ``datasets`` reads beside the images that it names."""
    rows = [
        {
            "file_name": name,
            "label": member.label,
            "wnid": member.row.wnid,
            "image_id": member.row.image_id,
            **dict(zip(_VOTES, _votes(member), strict=True)),
        }
        for member, name in zip(members, names, strict=True)
    ]
    texts = ("file_name", "wnid", "image_id")
    schema = pa.schema(
        [("file_name", pa.string()), ("label", pa.int64()), ("wnid", pa.string()), ("image_id", pa.string())]
        + [(name, pa.type_for_alias(kind)) for name, kind in _VOTE_TYPES.items()],
        metadata=_features(labels, texts),
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "metadata.parquet")


def _features(labels: Sequence[str], texts: Sequence[str], *, image: bool = False) -> dict[str, str]:
    """The types of columns as ``datasets`` writes them into Arrow schemas: class names survive in no CSV."""
    features = {
        **({"image": {"_type": "Image"}} if image else {}),
        "label": {"names": list(labels), "_type": "ClassLabel"},
        **{name: {"dtype": "string", "_type": "Value"} for name in texts},
        **{name: {"dtype": kind, "_type": "Value"} for name, kind in _VOTE_TYPES.items()},
    }
    return {"huggingface": json.dumps({"info": {"features": features}})}


def _csv(members: Sequence[Member], labels: Sequence[str], read: Reader, out: Path) -> list[str]:
    files = _loose(members, read, out)
    rows = [
        [
            file,
            member.label,
            guarded(labels[member.label]),
            member.row.wnid,
            member.row.image_id,
            *_votes(member),
        ]
        for member, file in zip(members, files, strict=True)
    ]
    _write_metadata(members, labels, [file.removeprefix("images/") for file in files], out / "images")
    _write_csv(out / "data.csv", ["path", "label", "class", "wnid", "image_id", *_VOTES], rows)
    return files


def _fiftyone(members: Sequence[Member], labels: Sequence[str], read: Reader, out: Path) -> list[str]:
    (out / "fiftyone" / "data").mkdir(parents=True)
    files, answers = [], {}
    for member in members:
        key = f"{member.row.wnid}-{member.stem}"
        file = f"fiftyone/data/{key}{member.suffix}"
        (out / file).write_bytes(read(member))
        files.append(file)
        about = {"wnid": member.row.wnid, "image_id": member.row.image_id}
        votes = dict(zip(_VOTES, _votes(member), strict=True))
        answers[key] = {"label": labels[member.label], "attributes": {**about, **votes}}
    document = {"classes": list(labels), "labels": answers}
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    (out / "fiftyone" / "labels.json").write_text(text, encoding="utf-8", newline="")
    _write_metadata(members, labels, [file.removeprefix("fiftyone/") for file in files], out / "fiftyone")
    return files


def _ids(members: Sequence[Member], labels: Sequence[str], read: Reader, out: Path) -> list[str]:
    return [""] * len(members)


def _loose(members: Sequence[Member], read: Reader, out: Path) -> list[str]:
    """The images as files; a format that comes second finds them written."""
    files = []
    for member in members:
        place = out / "images" / member.row.wnid / member.name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(read(member))
        files.append(place.relative_to(out).as_posix())
    return files


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def _votes(member: Member) -> tuple[int, int, float | None]:
    """num_selected, num_shown, and their ratio where somebody was asked."""
    row = member.row
    return row.num_selected, row.num_shown, row.num_selected / row.num_shown if row.num_shown else None


def _webdataset(members: Sequence[Member], labels: Sequence[str], read: Reader, out: Path) -> list[str]:
    files = []
    suffix = tar_suffix(members)
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
                about = {
                    "image_id": member.row.image_id,
                    "wnid": member.row.wnid,
                    "sha256": member.sha256,
                    **dict(zip(_VOTES, _votes(member), strict=True)),
                }
                _add(tar, f"{key}{suffix}", read(member))
                _add(tar, f"{key}.cls", str(member.label).encode())
                _add(tar, f"{key}.json", json.dumps(about, sort_keys=True).encode())
                files.append(f"{shard}#{key}{suffix}")
    return files


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member without times and owners, so that the same content is the same tar."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _parquet(members: Sequence[Member], labels: Sequence[str], read: Reader, out: Path) -> list[str]:
    text = ("wnid", "image_id", "sha256")
    schema = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("label", pa.int64()),
            *((name, pa.string()) for name in text),
            *((name, pa.type_for_alias(kind)) for name, kind in _VOTE_TYPES.items()),
        ],
        metadata=_features(labels, text, image=True),
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
        **dict(zip(_VOTES, _votes(member), strict=True)),
    }


WRITERS: Mapping[str, Callable[[Sequence[Member], Sequence[str], Reader, Path], list[str]]] = {
    "imagefolder": _imagefolder,
    "webdataset": _webdataset,
    "parquet": _parquet,
    "csv": _csv,
    "fiftyone": _fiftyone,
    IDS: _ids,
}
"""Format name -> the function that writes it and gives each member's place in the release."""
