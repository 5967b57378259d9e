"""Where a pool lies: a folder on this machine, or a folder behind a URL that fsspec understands (``s3://...``).

Everything the pool side reads or writes goes through these few operations, so that a pool on S3 and one on disk
behave alike: names are relative, with ``/`` between parts, and a file appears whole or not at all (a rename on disk,
one finished upload on an object store).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from newtest.pool.storage.local_place import LocalPlace
from newtest.pool.storage.places import CLAIM, HOME, JOURNALS, Entry, Place
from newtest.pool.storage.remote_place import RemotePlace

__all__ = ["CLAIM", "HOME", "JOURNALS", "Entry", "LocalPlace", "Place", "RemotePlace", "place_of"]


def place_of(address: str | Path) -> LocalPlace | RemotePlace:
    """The place that a path or URL names; ``file://`` is a folder of this machine. It need not exist yet."""
    text = str(address)
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme == "file":
        return LocalPlace(Path(url2pathname(urlsplit(text).path)))
    if scheme:
        return RemotePlace(text.rstrip("/"))
    return LocalPlace(Path(text))
