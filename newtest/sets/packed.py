"""Images inside archives, by their address: ``ARCHIVE.tar#MEMBER`` or ``TABLE.parquet#CLASS/ID``.

A release that newtest writes as tars or Parquet names its images so; a file of its own has its path as its address.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from newtest.files import open_bytes
from newtest.images import ImageLimits, read_image
from newtest.reading.parquet import open_parquet
from newtest.reading.tars import places

__all__ = ["archive_of", "image_at"]

_MOST_MEMBERS = 1_000_000
_KINDS = (".tar#", ".parquet#")


def archive_of(address: str) -> str:
    """The file on the disk that an address leads to."""
    for kind in _KINDS:
        before, mark, _ = address.partition(kind)
        if mark:
            return before + kind[:-1]
    return address


def image_at(address: str) -> bytes:
    """The bytes of an image, at most one more than the limit. Raises OSError where there are none."""
    archive = archive_of(address)
    if archive == address or Path(address).is_file():
        return read_image(address)
    name, path = address[len(archive) + 1 :], Path(archive)
    try:
        about = path.stat()
        if path.suffix == ".tar":
            return _of_tar(archive, name, about.st_mtime_ns)
        return _of_table(archive, name, about.st_mtime_ns)
    except KeyError:
        raise OSError(f"{archive} has no image {name}") from None
    except OSError:
        raise
    except Exception as error:  # Arrow meets strangers' archives with errors of many kinds
        raise OSError(f"{archive} cannot be read ({error})") from error


def _of_tar(archive: str, name: str, changed: int) -> bytes:
    place, size = _members(archive, changed)[name]
    with open_bytes(archive) as handle:
        handle.seek(place)
        return handle.read(min(size, ImageLimits().max_bytes + 1))


@lru_cache(maxsize=64)
def _members(archive: str, changed: int) -> dict[str, tuple[int, int]]:
    """Where the regular files of a tar lie: name -> (place, bytes)."""
    found: dict[str, tuple[int, int]] = {}
    with open_bytes(archive) as tar:
        for name, start, size in places(tar):
            found[name] = start, size
            if len(found) > _MOST_MEMBERS:
                raise OSError(f"{archive} has more than {_MOST_MEMBERS:,} members")
    return found


def _of_table(archive: str, name: str, changed: int) -> bytes:
    group, row = _rows(archive, changed)[name]
    data = _images(archive, group, changed)[row]
    if data is None:
        raise KeyError(name)
    return data


@lru_cache(maxsize=64)
def _rows(archive: str, changed: int) -> dict[str, tuple[int, int]]:
    """Where the images of a Parquet table lie: class/id -> (row group, row in it)."""
    found = {}
    with open_parquet(archive) as file:
        for group in range(file.num_row_groups):
            columns = file.read_row_group(group, columns=["wnid", "image_id"]).to_pydict()
            for row, (wnid, image_id) in enumerate(zip(columns["wnid"], columns["image_id"], strict=True)):
                found[f"{wnid}/{image_id}"] = group, row
    return found


@lru_cache(maxsize=2)
def _images(archive: str, group: int, changed: int) -> list[bytes | None]:
    """The pictures of a row group; sets are read in their order, so the next ones are mostly of the same."""
    with open_parquet(archive) as file:
        images = file.read_row_group(group, columns=["image"])["image"].to_pylist()
    return [image["bytes"] if isinstance(image, dict) else None for image in images]
