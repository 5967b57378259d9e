"""URLs that are files of this machine or objects of a store: read where somebody allowed the place, and nowhere else.

A list of URLs is a stranger's: a ``file:`` URL in it would copy this machine's files into a pool that is passed on. So
such URLs are read below the places that were named alone; links that lead out of them are not followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from newtest.download import Download
from newtest.download.urls import is_web
from newtest.errors import PoolError, UsageError
from newtest.files import NotAFile, open_bytes
from newtest.pool.storage.location import RemotePlace

__all__ = ["NOT_ALLOWED", "Below"]

NOT_ALLOWED = "not-allowed"
_LOCAL = ("", "localhost")
_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "r2"})
"""Schemes that are refused by name; others that are not of the web are just no URLs."""


@dataclass(frozen=True)
class Below:
    """The folders and addresses below which URLs may lead; none by default."""

    folders: tuple[Path, ...] = ()
    stores: tuple[str, ...] = ()

    @classmethod
    def of(cls, places: Sequence[str]) -> Below:
        """``places`` are folders, ``file:`` URLs of folders, and addresses such as ``s3://bucket/photos``.

        Raises UsageError.
        """
        folders, stores = [], []
        for place in places:
            if is_web(place):
                raise UsageError(f"`allow_below` {place}: the web is read anyway; name a folder or a store")
            if "://" in place and not place.startswith("file:"):
                stores.append(place.rstrip("/") + "/")
                continue
            folder = Path(url2pathname(urlsplit(place).path) if place.startswith("file:") else place)
            if not folder.is_dir():
                raise UsageError(f"`allow_below` {place}: there is no such folder")
            folders.append(folder.resolve())
        return cls(tuple(folders), tuple(stores))

    def takes(self, url: str) -> bool:
        """Whether this is a URL to read here or to refuse, rather than one of the web: of a file or a store, or, where
        folders are allowed, a path.
        """
        url = url.strip()
        if is_web(url) or not url:
            return False
        if _is_file(url):
            return url.startswith("file:") or bool(self.folders)
        return urlsplit(url).scheme in _STORES or self.allows(url)

    def allows(self, url: str) -> bool:
        """Whether a URL of a file or a store may lie below one of the places."""
        url = url.strip()
        if is_web(url) or not url:
            return False
        return bool(self.folders) if _is_file(url) else url.startswith(self.stores)

    def read(self, key: str, url: str, most: int) -> Download:
        """The bytes of a URL, at most ``most``, or the kind of the failure."""
        url = url.strip()
        try:
            if _is_file(url):
                return self._file(key, url, most)
            return self._object(key, url, most)
        except FileNotFoundError:
            return Download(key, None, "no-such-file", f"there is no {url}")
        except (OSError, ValueError, PoolError) as error:
            return Download(key, None, "unreadable", f"{url} cannot be read ({error})")

    def _file(self, key: str, url: str, most: int) -> Download:
        if url.startswith("file:"):
            parts = urlsplit(url)
            if parts.netloc not in _LOCAL:
                return _refused(key, url)
            url = url2pathname(parts.path)
        found = False
        for folder in self.folders:
            for name in dict.fromkeys((url, url.replace("\\", "/"))):
                try:
                    path = (folder / name).resolve()
                except ValueError:  # NUL: no file has this name
                    continue
                if not path.is_relative_to(folder):
                    continue
                found = True
                if path.exists():
                    return _bytes_of(key, path, most)
        if found:
            raise FileNotFoundError(url)
        return _refused(key, url)

    def _object(self, key: str, url: str, most: int) -> Download:
        store = next((store for store in self.stores if url.startswith(store)), None)
        if store is None or ".." in url[len(store) :].split("/"):
            return _refused(key, url)
        with RemotePlace(store.rstrip("/")).open(url[len(store) :]) as handle:
            return _limited(key, handle.read(most + 1), most)


def _is_file(url: str) -> bool:
    return url.startswith("file:") or "://" not in url


def _bytes_of(key: str, path: Path, most: int) -> Download:
    try:
        with open_bytes(path, follow=False) as handle:
            return _limited(key, handle.read(most + 1), most)
    except NotAFile as error:
        return Download(key, None, "unreadable", str(error), permanent=True)


def _limited(key: str, data: bytes, most: int) -> Download:
    if len(data) > most:
        return Download(key, None, "too-many-bytes", f"more than the {most} bytes allowed")
    return Download(key, data)


def _refused(key: str, url: str) -> Download:
    reason = f"{url} lies below no place that `allow_below` names"
    return Download(key, None, NOT_ALLOWED, reason, permanent=True)
