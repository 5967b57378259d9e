"""A pool's folder behind a URL that fsspec understands, such as one on an object store."""

from __future__ import annotations

import atexit
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from newtest.errors import MissingExtra, NewtestError, PoolError
from newtest.files import is_full_disk
from newtest.pool.storage.places import CLAIM, Entry, checked, is_ours
from newtest.pool.storage.ranges import AHEAD, Known, RangedFile
from newtest.pool.storage.scratch import scratch_folder

__all__ = ["RemotePlace"]


@dataclass(frozen=True)
class RemotePlace:
    """A folder on an object store. Credentials and endpoint come from the environment
    (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, and ``AWS_ALLOW_HTTP=true`` for an endpoint without TLS)."""

    address: str

    @property
    def url(self) -> str:
        return self.address

    def entries(self) -> list[Entry]:
        system, root = self._system()
        system.invalidate_cache()  # a shard that somebody adds or takes away is seen at once
        try:
            with _explained(self.address):
                found = system.find(root, detail=True)
        except FileNotFoundError:
            return []
        files = {
            str(PurePosixPath(path).relative_to(root)): _known(info)
            for path, info in found.items()
            if path != root
        }
        others = {
            PurePosixPath(name).parent.parent
            for name in files
            if name.endswith(f"/{CLAIM}") and name != CLAIM
        }
        return sorted(
            Entry(name, known.size, known.tag)
            for name, known in files.items()
            if all(map(is_ours, name.split("/"))) and others.isdisjoint(PurePosixPath(name).parents)
        )

    def is_empty(self) -> bool:
        system, root = self._system()
        system.invalidate_cache()
        try:
            with _explained(self.address):
                return not [path for path in system.find(root) if path != root]
        except FileNotFoundError:
            return True

    def move(self, old: str, new: str) -> None:
        system, root = self._system()
        with _explained(self.address):
            for path in sorted(system.find(f"{root}/{checked(old)}")):
                system.mv(path, f"{root}/{checked(new)}{path[len(root) + 1 + len(old) :]}")
        system.invalidate_cache()

    def exists(self, name: str) -> bool:
        system, root = self._system()
        with _explained(self.address):
            return bool(system.exists(f"{root}/{checked(name)}"))

    def open(self, file: str | Entry) -> IO[bytes]:
        name = file if isinstance(file, str) else file.name
        system, root = self._system()
        path = f"{root}/{checked(name)}"
        if isinstance(file, Entry) and file.tag:
            known = Known(file.size, file.tag)
        else:
            try:
                with _explained(self.address):
                    known = _known(system.info(path))
            except FileNotFoundError:
                raise FileNotFoundError(f"{self.address}/{name}") from None

        def fetch(start: int, end: int) -> bytes:
            try:
                with _explained(self.address):
                    return bytes(system.cat_file(path, start=start, end=end))
            except FileNotFoundError:
                raise FileNotFoundError(f"{self.address}/{name}") from None

        columns = name.endswith(".parquet")
        ranged = RangedFile(fetch, known, (self.address, name), columns=columns)
        return ranged if columns else io.BufferedReader(ranged, AHEAD)  # type: ignore[return-value]

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        system, root = self._system()
        with scratch_folder() as folder:
            temporary = folder / "file"
            yield temporary
            # As one request of the store's own: a file that is written piece by piece would be finished, cut off as it
            # is, by an interrupt (Ctrl-C) that leaves its block.
            with _explained(self.address, but=NewtestError):  # what is not found is the bucket
                system.put_file(str(temporary), f"{root}/{checked(name)}")

    def remove(self, name: str) -> None:
        system, root = self._system()
        if self.exists(name):
            with _explained(self.address):
                system.rm_file(f"{root}/{checked(name)}")

    def _system(self) -> tuple[Any, str]:
        try:
            import fsspec
        except ImportError as error:
            raise MissingExtra("fsspec", "pool") from error
        scheme = urlsplit(self.address).scheme
        if scheme in ("s3", "gs", "gcs", "az", "abfs"):
            _register_obstore(scheme)
        try:
            system, root = fsspec.core.url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            raise PoolError(f"{self.address}: this address cannot be opened ({error})") from error
        return system, root.rstrip("/")


def _known(info: dict[str, Any]) -> Known:
    changed = info.get("e_tag") or info.get("ETag") or info.get("last_modified") or info.get("mtime") or ""
    return Known(int(info["size"]), str(changed))


@contextmanager
def _explained(
    address: str, but: type[Exception] | tuple[type[Exception], ...] = (NewtestError, FileNotFoundError)
) -> Iterator[None]:
    """What a store, or the way to it, does wrong, as one sentence that names the place."""
    try:
        yield
    except but:
        raise
    except Exception as error:  # each kind of store has errors of its own
        if isinstance(error, OSError) and is_full_disk(error):
            raise
        said = " ".join((str(error) or type(error).__name__).split("Debug source")[0].split())[:300]
        raise PoolError(
            f"{address}: the store refused or failed ({said}); check the address, the credentials "
            "(AWS_ACCESS_KEY_ID, ...) and AWS_ENDPOINT_URL, and run again: what was done is kept"
        ) from error


@cache
def _register_obstore(scheme: str) -> None:
    """Let obstore serve an object store's scheme: s3fs pins botocore, obstore pins nothing."""
    try:
        from obstore.fsspec import register
    except ImportError as error:
        raise MissingExtra("obstore", "pool") from error
    register(scheme)
    # Threads of obstore still let go of their last answer when we have it. If Python ends meanwhile they abort the
    # whole process (seen: exit status -6 behind a good error message), so the end waits for them.
    atexit.register(time.sleep, 0.3)
