"""A study: a folder with ``study.sqlite`` (the catalog), content-addressed ``images/``, and ``releases/``.

::

    STUDY/
      study.sqlite      every fact: classes, candidates, votes, verdicts, revisions
      study.key         32 random bytes, mode 0600: keys the hashes of worker ids; never released
      images/ab/abcd…   the bytes as they were downloaded, named by sha256
      thumbnails/ab/…   what people are shown (EXIF orientation applied), made from the bytes, can be made
      again releases/         one folder per release, never changed
      locks/            one file per stage, held while the stage writes
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from newtest.catalog import open_catalog
from newtest.errors import StudyError
from newtest.files import bytes_of, own_descriptor
from newtest.outputs import require_this_machine

__all__ = ["Study", "now"]

_KEY_BYTES = 32
_SHA256 = re.compile(r"[0-9a-f]{64}")


def now() -> str:
    """The present as ISO 8601 in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Study:
    """An open study. Use as a context manager; ``catalog`` is its SQLite connection."""

    def __init__(self, root: str | Path, *, create: bool = False) -> None:
        """Open the study at ``root``; with ``create`` make the folder and the catalog where there is none.

        Raises StudyError: no study there, made by a newer version, not a catalog, a folder that cannot be
        written.
        """
        self.root = root = Path(root)
        require_this_machine(root)
        self._proven: set[Path] = set()
        path = root / "study.sqlite"
        if not create and not path.exists():
            raise StudyError(
                f"{root.resolve()}: there is no study here (no study.sqlite); "
                "name one with `study` or NEWTEST_STUDY, or begin one with newtest collect"
            )
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{root}: the folder cannot be made ({error.strerror})") from error
        self.catalog: sqlite3.Connection = open_catalog(path, create=create)

    def __enter__(self) -> Study:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.catalog.close()

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    def image_path(self, sha256: str) -> Path:
        """Where the bytes with this hash are, or would be. Raises StudyError for what is not a hash."""
        return self.inside("images", _checked(sha256)[:2], sha256)

    def thumbnail_path(self, sha256: str) -> Path:
        """Where the small JPEG shown to people is, or would be. Raises StudyError for what is not a hash."""
        return self.inside("thumbnails", _checked(sha256)[:2], f"{sha256}.jpg")

    def inside(self, *parts: str) -> Path:
        """A place below the study's folder, for reading, writing and deleting: the one way to such a path.

        A catalog can come from a stranger, and so can the folders: a name that leads out, by dots, a slash or a link,
        is refused. Raises StudyError.
        """
        folder = self.root.joinpath(*parts[:-1])
        if folder not in self._proven:
            if any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts):
                raise StudyError(f"{self.root}: {'/'.join(parts)!r} leads out of the study")
            if not folder.resolve().is_relative_to(self.root.resolve()):
                raise StudyError(f"{folder}: a link leads out of the study; take it away")
            if folder.is_dir():
                self._proven.add(folder)
        if parts[-1] in ("", ".", "..") or "/" in parts[-1] or "\0" in parts[-1]:
            raise StudyError(f"{self.root}: {'/'.join(parts)!r} leads out of the study")
        place = folder / parts[-1]
        if place.is_symlink() and not place.resolve().is_relative_to(self.root.resolve()):
            raise StudyError(f"{place}: a link leads out of the study; take it away")
        return place

    def worker_key(self, worker_id: str) -> str:
        """A worker's id as it is stored: 32 hex digits of HMAC-SHA256 under the study's own key.

        Two Unicode forms of one name are one worker: the form NFC is hashed, without the byte order marks that
        exports leave in cells.
        """
        name = unicodedata.normalize("NFC", worker_id).replace("\ufeff", "")
        return hmac.new(self._key(), name.encode(), hashlib.sha256).hexdigest()[:32]

    def secret_for(self, purpose: str) -> bytes:
        """32 bytes derived from the study's own key for one purpose, such as signing links."""
        return hmac.new(self._key(), b"purpose\x00" + purpose.encode(), hashlib.sha256).digest()

    def _key(self) -> bytes:
        path = self.root / "study.key"
        if not path.exists():
            fresh = path.with_name(f".study.key.{os.getpid()}.{secrets.token_hex(4)}")
            try:
                with open(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as handle:
                    handle.write(secrets.token_bytes(_KEY_BYTES))
                    handle.flush()
                    os.fsync(handle.fileno())
                os.link(fresh, path)  # the first process wins; link never overwrites
            except FileExistsError:
                pass
            finally:
                fresh.unlink(missing_ok=True)
        key = bytes_of(path)
        if len(key) != _KEY_BYTES:
            raise StudyError(
                f"{path}: {len(key)} bytes are not this study's key ({_KEY_BYTES} bytes): "
                "put the key back from a copy; with another key nobody's votes and links would be theirs any more"
            )
        return key

    @contextmanager
    def exclusive(self, stage: str) -> Iterator[None]:
        """Hold a stage of this study; a second process that needs the same stage gets a StudyError at once.

        Stages that only read need no lock. The lock goes with the process, however it ends.
        """
        path = self.inside("locks", stage)
        path.parent.mkdir(exist_ok=True)
        with open(own_descriptor(path, os.O_RDWR), "r+", encoding="ascii") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read().strip() or "unknown"
                raise StudyError(
                    f"{self.root}: newtest {stage} is already running on this study (process {holder}); "
                    "wait for it to end, or end it"
                ) from None
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            yield


def _checked(sha256: str) -> str:
    """A hash as it names a file. Raises StudyError: in a catalog that a stranger made it may be any text."""
    if not _SHA256.fullmatch(sha256):
        raise StudyError(
            f"{sha256!r} is not a sha256 in hexadecimal; this catalog is damaged, or was tampered with"
        )
    return sha256
